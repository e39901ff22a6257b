package session

import (
	"encoding/json"
	"os"
	"reflect"
	"testing"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"

	"github.com/AgentaaU/AaaU/pkg/privsep"
	"github.com/AgentaaU/AaaU/pkg/tape"
)

// stored is a session that was stored, and never started.
func stored(t *testing.T) *Session {
	t.Helper()
	master, slave, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { slave.Close() })
	defer master.Close()
	mounts, err := os.Open("/proc/self/ns/mnt")
	if err != nil {
		t.Fatal(err)
	}
	defer mounts.Close()
	self, err := unix.PidfdOpen(os.Getpid(), 0)
	if err != nil {
		t.Fatal(err)
	}
	status := pipe(t)
	t.Cleanup(func() { unix.Close(status[1]) })
	s, err := New(Info{Session: privsep.Session{ID: "abc"}}, []int{dup(t, master), self, status[0], dup(t, mounts)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	note, err := json.Marshal(s.Info)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.SetNote(note); err != nil {
		t.Fatal(err)
	}
	return s
}

// next is the session as the next bridge finds it.
func next(t *testing.T, s *Session) *Session {
	t.Helper()
	var fds []int
	err := s.Lend(-1, func(parcel []int) error {
		for _, fd := range parcel {
			n, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
			if err != nil {
				return err
			}
			fds = append(fds, n)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	n, _, err := Adopt(fds, func(note []byte) (i Info, err error) { return i, json.Unmarshal(note, &i) })
	if err != nil {
		t.Fatal(err)
	}
	if n.ID != s.ID {
		t.Errorf("it is session %q", n.ID)
	}
	t.Cleanup(n.Close)
	return n
}

func TestPlacesAreKept(t *testing.T) {
	s := stored(t)
	p := s.Place(7, tape.WhileReading)
	if q := s.Place(7, tape.WhileReading); q != p || s.Place(0, tape.Never) != nil {
		t.Errorf("%v, %v", p, q)
	}
	gone := s.Place(8, tape.Never)
	if err := s.Type(p, []byte("hello"), nil); err != nil {
		t.Fatal(err)
	}
	gone.Free()
	p.intends(3) // and it dies

	n := next(t, s)
	places := n.Places()
	if len(places) != 1 || places[0].Token() != 7 || places[0].Hold() != tape.WhileReading {
		t.Fatalf("%+v", places)
	}
	for i, want := range [][2]uint64{{5, 3}, {8, 0}} {
		if typed, unknown := places[0].Typed(); typed != want[0] || unknown != want[1] {
			t.Errorf("asked %d times: %d typed, %d unknown", i+1, typed, unknown)
		}
	}
	for i := range uint64(maxPlaces + 5) {
		if p := n.Place(100+i, tape.Never); (p == nil) != (i >= maxPlaces-1) {
			t.Fatalf("place %d of %d: %v", i, maxPlaces, p)
		}
	}
}

func TestPictureOutlivesItsBridge(t *testing.T) {
	s := stored(t)
	if _, ok := s.Picture(); ok || s.PictureAt() != 0 {
		t.Error("a new session has a picture")
	}
	want := Picture{At: 1 << 40, Rows: 24, Cols: 300, Snapshot: []byte("\x1b[Ha screen")}
	if err := s.SetPicture(want); err != nil {
		t.Fatal(err)
	}
	n := next(t, s)
	if got, ok := n.Picture(); !ok || !reflect.DeepEqual(got, want) || n.PictureAt() != want.At {
		t.Errorf("%+v", got)
	}
}

func TestDriverOutlivesItsBridge(t *testing.T) {
	s := stored(t)
	if got := s.Driver(); got != 0 {
		t.Errorf("%d drives a new session", got)
	}
	s.SetDriver(77)
	if got := next(t, s).Driver(); got != 77 {
		t.Errorf("%d drives", got)
	}
}

// Three bridges that die over the same output are enough. That they die is not.
func TestPoison(t *testing.T) {
	s := stored(t)
	for range 5 {
		s = next(t, s)
	}
	for range 5 { // each time elsewhere: they were killed
		s.Looking(Draw, s.LookedTo(Draw)+10)
		s = next(t, s)
	}
	if s.Poisonous() {
		t.Error("a session is poisonous whose bridges were only killed")
	}
	for i := range maxFalls {
		s.Looking(Draw, 1000)
		if s = next(t, s); s.Poisonous() != (i == maxFalls-1) {
			t.Errorf("after %d falls: %v", i+1, s.Poisonous())
		}
	}
	s.Looked(Draw, 1500)
	s = next(t, s)
	for range maxFalls {
		s.Looking(Scan, 2000)
		s.Pause(Scan, func() { s = next(t, s) })
	}
	if s.Poisonous() {
		t.Error("a session is poisonous whose bridges died while they paused")
	}
	for range maxFalls {
		s.Looking(Scan, 2000)
		s.Pause(Scan, func() {})
		s = next(t, s)
	}
	if !s.Poisonous() {
		t.Error("a session is not poisonous over whose output bridges died after a pause")
	}
	if s.LookedTo(Draw) != 1500 {
		t.Errorf("%d", s.LookedTo(Draw))
	}
}

// Two connections with one token have one place, and it is nobody else's before both are
// gone: what one of them types would count as the other's.
func TestPlaceOfTwo(t *testing.T) {
	s := stored(t)
	p := s.Place(7, tape.WhileReading)
	s.Place(7, tape.WhileReading).Free()
	other := s.Place(8, tape.WhileReading)
	p.intends(3)
	p.done(3)
	if typed, _ := other.Typed(); typed != 0 || p.Token() != 7 {
		t.Errorf("%d bytes are another's; the token is %d", typed, p.Token())
	}
	p.Free()
	if left := s.Places(); len(left) != 1 || left[0] != other {
		t.Errorf("%d places are taken", len(left))
	}
}
