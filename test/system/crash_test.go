package system

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"math/rand/v2"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"golang.org/x/term"

	"github.com/AgentaaU/AaaU/pkg/audit"
	"github.com/AgentaaU/AaaU/pkg/client"
	"github.com/AgentaaU/AaaU/pkg/spec"
	"github.com/AgentaaU/AaaU/pkg/wire"
)

// kills is how often the bridge is killed in this test: so many times here, and more for a
// soak.
func kills(here int) int {
	if n, err := strconv.Atoi(os.Getenv("AAAU_KILLS")); err == nil {
		return n
	}
	return here
}

// The heart of it: whenever the bridge dies, no session does, and who reads one gets
// every byte that its program wrote, once.
func TestBridgeIsKilled(t *testing.T) {
	deaths := kills(60)
	beginLong(t, time.Minute+time.Duration(deaths)*time.Second)
	operator, since := as(t, "operator"), journalNow(t)
	followers := map[string]*background{}
	for _, how := range []string{"text", "random", "fill", "paced", "text pipes", "random pipes"} {
		followers[how] = start(t, operator, nil, append([]string{"follow"}, strings.Fields(how)...)...)
		if got := followers[how].line(); got != "open" {
			t.Fatalf("%s: %q", how, got)
		}
	}
	typist := start(t, operator, nil, "typist")
	if got := typist.line(); got != "open" {
		t.Fatalf("the typist is %q", got)
	}
	for i := range deaths {
		if i%3 > 0 { // a kill in three may hit a bridge that still starts
			bridgeAnswers(t)
		}
		killBridge(t, 60*time.Millisecond)
	}
	for how, f := range followers {
		_, _ = io.WriteString(f.stdin, "stop\n") // it says why, if it has ended
		got, n, id := f.line(), int64(0), ""
		if _, err := fmt.Sscanf(got, "whole: %d bytes of session %s", &n, &id); err != nil {
			t.Errorf("%s: %s", how, got)
			continue
		}
		t.Logf("%s: %s", how, got)
		if recorded := selfChecked(t, id); recorded != n {
			t.Errorf("%s: %d bytes of %d are recorded", how, recorded, n)
		}
		verified(t, id)
	}
	typist.say("stop\n")
	if got := typist.line(); !strings.HasPrefix(got, "in order: ") {
		t.Errorf("typing: %s", got)
	} else {
		t.Logf("typing: %s", got)
	}
	figures(t, since)
}

// selfChecked is how much the record has of what spew printed, if that is what it says
// itself to have printed.
func selfChecked(t *testing.T, id string) int64 {
	t.Helper()
	got := &summer{sum: sha256.New()}
	if err := audit.Raw(got, audit.Read(recordDir, id), audit.Stdout); err != nil {
		t.Error(err)
		return -1
	}
	if want := fmt.Sprintf("%s%020d", hex.EncodeToString(got.sum.Sum(nil)), got.n); string(got.last) != want {
		t.Errorf("session %s: %d bytes are recorded, not %s", id, got.n, got.last)
	}
	return int64(got.n)
}

// killBridge kills the bridge within this time, and waits for the next.
func killBridge(t *testing.T, within time.Duration) {
	t.Helper()
	pid := mainPID(t, "aaau.service")
	if within > 0 {
		time.Sleep(rand.N(within)) // the moment is what is tried
	}
	kill(t, pid, syscall.SIGKILL)
	await(t, "the next bridge", func() bool {
		now, err := systemctlMay("show", "--value", "--property=MainPID", "aaau.service")
		return err == nil && now != "0" && now != strconv.Itoa(pid)
	})
}

// bridgeAnswers waits until the bridge answers, which it does when it has taken the sessions
// back. On a slow machine that takes longer than killBridge waits before it kills: without
// this wait each bridge would be killed while it starts.
func bridgeAnswers(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	conn, err := client.Dial(ctx, serverSocket)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.List(ctx); err != nil {
		t.Fatalf("waiting for the bridge to answer: %v", err)
	}
}

// figures tells what the bridges said of taking sessions back. That never a byte was
// in the window between a read and its being counted would mean that it was not tried.
func figures(t *testing.T, since string) {
	t.Helper()
	var took []float64
	bytes := 0
	for _, m := range regexp.MustCompile(`took back (\d+) sessions in ([0-9.]+) ms; (\d+) bytes`).FindAllStringSubmatch(messages(t, since, "aaau.service"), -1) {
		ms, _ := strconv.ParseFloat(m[2], 64)
		n, _ := strconv.Atoi(m[3])
		took, bytes = append(took, ms), bytes+n
	}
	slices.Sort(took)
	if len(took) == 0 || bytes == 0 {
		t.Errorf("%d times sessions were taken back, and %d bytes were recovered", len(took), bytes)
		return
	}
	t.Logf("%d times sessions were taken back, in %.1f ms in the middle and %.1f ms at most; %d bytes were recovered", len(took), took[len(took)/2], took[len(took)-1], bytes)
}

// spew prints what a session's program may print, until it is typed at; the end tells
// what it was: sum and length.
func spew(args []string) int {
	if term.IsTerminal(0) {
		if _, err := term.MakeRaw(0); err != nil {
			fmt.Println(err)
			return 1
		}
	}
	stop := make(chan struct{})
	go func() {
		_, _ = os.Stdin.Read(make([]byte, 1))
		close(stop)
	}()
	sum, n := sha256.New(), 0
	source := rand.New(rand.NewPCG(1, 2))
	for i := 0; ; i++ {
		var chunk []byte
		switch args[0] {
		case "text", "paced":
			chunk = fmt.Appendf(nil, "%d a line of text, and \x1b[1msome\x1b[0m more of it\r\n", i)
		case "random":
			chunk = make([]byte, 1+source.IntN(5000))
			for j := range chunk {
				chunk[j] = byte(source.Uint32())
			}
		case "fill": // the very bytes that cannot be in UTF-8, and then something that can
			chunk = make([]byte, 1+source.IntN(300))
			for j := range chunk {
				chunk[j] = 0xf8 + byte(source.IntN(8))
			}
			chunk = append(chunk, '.')
		}
		select {
		case <-stop:
			fmt.Printf("%s%020d", hex.EncodeToString(sum.Sum(nil)), n)
			return 0
		default:
		}
		if _, err := os.Stdout.Write(chunk); err != nil {
			return 1
		}
		sum.Write(chunk)
		n += len(chunk)
		if args[0] == "paced" {
			time.Sleep(time.Millisecond)
		}
	}
}

// tail is what spew's end has.
const tail = 64 + 20

// follow starts a session that spews, and tells whether all of it came.
func follow(args []string) int {
	s, err := client.Open(context.Background(), serverSocket, wire.OpenRequest{
		Session: spec.Session{Argv: []string{helper, "spew", args[0]}, Size: wire.Size{Rows: 24, Cols: 80}, Pipes: len(args) > 1},
		Piped:   true,
	})
	if err != nil {
		fmt.Println(err)
		return 1
	}
	fmt.Println("open")
	go func() {
		_, _ = bufio.NewReader(os.Stdin).ReadString('\n')
		_, _ = s.Write([]byte("x"))
	}()
	got := &summer{sum: sha256.New()}
	notices := ""
	ended, err := s.Copy(client.Sink{Out: got, Notice: func(line string) { notices += line + "; " }})
	want := fmt.Sprintf("%s%020d", hex.EncodeToString(got.sum.Sum(nil)), got.n)
	switch {
	case err != nil || ended != wire.EndedNote{}:
		fmt.Printf("it ended with %+v, %v, after %d bytes (%s)\n", ended, err, got.n, notices)
	case string(got.last) != want:
		fmt.Printf("%d bytes came, not %s (%s)\n", got.n, got.last, notices)
	default:
		fmt.Printf("whole: %d bytes of session %s (%s)\n", got.n, s.ID, notices)
	}
	return 0
}

// summer sums what is written to it, all but the tail.
type summer struct {
	sum  hash.Hash
	n    int
	last []byte
}

func (s *summer) Write(p []byte) (int, error) {
	s.last = append(s.last, p...)
	if more := len(s.last) - tail; more > 0 {
		s.sum.Write(s.last[:more])
		s.n += more
		s.last = s.last[:copy(s.last, s.last[more:])]
	}
	return len(p), nil
}

// typist types numbered lines into a session that prints them, and tells whether each
// came once at most, and in order, and how many were missed and told to be.
func typist([]string) int {
	s, err := client.Open(context.Background(), serverSocket, wire.OpenRequest{
		Session: spec.Session{Argv: []string{"sh", "-c", "stty -echo -onlcr; while read line; do echo \"got $line\"; [ \"$line\" != end ] || exit 0; done"}, Size: wire.Size{Rows: 24, Cols: 80}},
	})
	if err != nil {
		fmt.Println(err)
		return 1
	}
	fmt.Println("open")
	stop := make(chan struct{})
	go func() {
		_, _ = bufio.NewReader(os.Stdin).ReadString('\n')
		close(stop)
	}()
	typed := make(chan int, 1)
	go func() {
		for i := 1; ; i++ {
			select {
			case <-stop:
				_, _ = io.WriteString(s, "\nend\n")
				typed <- i - 1
				return
			case <-time.After(2 * time.Millisecond):
			}
			_, _ = fmt.Fprintf(s, "%08d\n", i)
		}
	}()
	var out strings.Builder
	told := 0
	ended, err := s.Copy(client.Sink{Out: &out, Notice: func(line string) {
		n := 0
		if _, err := fmt.Sscanf(line, "the bridge was restarted: the last %d bytes", &n); err == nil {
			told += n
		}
	}})
	if err != nil || ended != (wire.EndedNote{}) {
		fmt.Printf("it ended with %+v, %v\n", ended, err)
		return 0
	}
	last, came := 0, 0
	for line := range strings.SplitSeq(out.String(), "\n") {
		text, ok := strings.CutPrefix(line, "got ")
		n, err := strconv.Atoi(text)
		if !ok || err != nil || len(text) != 8 { // the end, or a line that lost a part of it
			continue
		}
		if n <= last {
			fmt.Printf("line %d came after line %d\n", n, last)
			return 0
		}
		last, came = n, came+1
	}
	all := <-typed
	if missed := (all - came) * 9; missed > told+9*20 {
		fmt.Printf("of %d lines %d came; %d bytes were told to be missing\n", all, came, told)
		return 0
	}
	fmt.Printf("in order: %d of %d lines, %d bytes told to be missing perhaps\n", came, all, told)
	return 0
}

// Bridge and launcher die together, while agents end in all ways: some had ended
// before, some end just then, and some in nobody's time.
func TestDoubleDeath(t *testing.T) {
	beginLong(t, 2*time.Minute)
	operator := as(t, "operator")
	want := map[string]int{"exit 7": 7, "kill -TERM $$": 143, "kill -KILL $$": 137, "(setsid sleep 1000 &) ; exit 3": 3}
	lives := output(t, operator, "aaau", "start", "--", "sh", "-c", "while read x; do echo $x; [ \"$x\" != end ] || exit 5; done")
	everyone := map[string]int{} // statuses by id
	for round := range 8 {
		ids := map[string]string{}
		for script := range want {
			ids[script] = output(t, operator, "aaau", "start", "--", "sh", "-c", "read x; "+script)
		}
		for _, id := range ids {
			output(t, operator, "aaau", "send", id, "--enter", "go")
		}
		if round%2 == 1 {
			time.Sleep(rand.N(40 * time.Millisecond)) // the moment is what is tried
		}
		for _, service := range []string{"aaau.service", "aaau-launcher.service"} {
			fd, err := unix.PidfdOpen(mainPID(t, service), 0)
			if err != nil {
				t.Fatal(err)
			}
			defer unix.Close(fd)
			if err := unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0); err != nil {
				t.Fatal(err)
			}
		}
		for script, id := range ids {
			everyone[id] = want[script]
			if r := run(t, operator, "aaau", "wait", id); r.status != want[script] || r.stderr != "" {
				t.Errorf("round %d, %s: %+v", round, script, r)
			}
		}
		text := fmt.Sprint("still here ", round)
		output(t, operator, "aaau", "send", lives, "--enter", text)
		peek(t, lives, text+"\n"+text)
	}
	killBridge(t, 0)
	for id, status := range everyone {
		if r := run(t, operator, "aaau", "wait", id); r.status != status {
			t.Errorf("later, of %s: %+v", id, r)
		}
		if got := inStatus(t, id, "state"); got != "ended" {
			t.Errorf("session %s is %s", id, got)
		}
		if r := run(t, as(t, "outsider"), "aaau", "wait", id); r.status != 255 {
			t.Errorf("an outsider waits for %s: %+v", id, r)
		}
	}
	output(t, operator, "aaau", "send", lives, "--enter", "end")
	if r := run(t, operator, "aaau", "wait", lives); r.status != 5 {
		t.Errorf("who lived: %+v", r)
	}
	await(t, "nothing in aaau.slice", func() bool { return len(scopes(t)) == 0 })
	ends := recordedEnds(t)
	for id := range everyone {
		if ends[id] != 1 {
			t.Errorf("the record has %d ends of session %s", ends[id], id)
		}
	}
}

// recordedEnds is how often the record has the end of each session.
func recordedEnds(t *testing.T) map[string]int {
	t.Helper()
	ends := map[string]int{}
	for found, err := range audit.Search(recordDir, audit.Query{Kinds: []audit.Kind{audit.KindSessionEnd}}) {
		if err != nil {
			t.Fatal(err)
		}
		ends[found.SessionID]++
	}
	return ends
}

// many is with how many sessions the bridge is killed, some few here.
func many() int {
	if n, err := strconv.Atoi(os.Getenv("AAAU_MANY")); err == nil {
		return n
	}
	return 60
}

// All of many sessions come back, under their ids, and end as they end.
func TestManySessionsOutliveTheirBridges(t *testing.T) {
	beginLong(t, time.Minute+time.Duration(many())*time.Second)
	since := journalNow(t)
	configure(t, fmt.Sprintf("max-sessions-per-user=%d\nmax-tapes=infinity\n", many()+1))
	c := start(t, as(t, "operator"), nil, "many", strconv.Itoa(many()))
	if got := c.line(); got != "open" {
		t.Fatalf("%q", got)
	}
	for i := range 20 {
		if i%2 > 0 { // every other one is still to take them back
			bridgeAnswers(t)
		}
		killBridge(t, 0)
	}
	c.say("stop\n")
	if got := c.line(); got != "all" {
		t.Error(got)
	}
	for _, m := range regexp.MustCompile(`took back \d+ sessions in [0-9.]+ ms`).FindAllString(messages(t, since, "aaau.service"), -1)[:1] {
		t.Log(m)
	}
}

// beMany starts so many sessions, has each answer when it is told to, and end.
func beMany(args []string) int {
	n, err := strconv.Atoi(args[0])
	if err != nil {
		return 1
	}
	ctx := context.Background()
	ids := make([]string, n)
	for i := range ids {
		s, err := client.Open(ctx, serverSocket, wire.OpenRequest{
			Session:  spec.Session{Argv: []string{"sh", "-c", fmt.Sprintf("stty -echo; while read x; do echo $x-%d; [ $x != end ] || exit %d; done", i, i%100)}, Size: wire.Size{Rows: 24, Cols: 80}},
			Detached: true,
		})
		if err != nil {
			fmt.Println(err)
			return 1
		}
		ids[i] = s.ID
		s.Close()
	}
	fmt.Println("open")
	_, _ = bufio.NewReader(os.Stdin).ReadString('\n')
	conn, err := client.Dial(ctx, serverSocket)
	for i, id := range ids {
		if err == nil {
			err = conn.Send(ctx, id, []byte("hello\n"))
		}
		for text := ""; err == nil && !strings.Contains(text, fmt.Sprintf("hello-%d", i)); {
			var screen wire.Screen
			screen, err = conn.Peek(ctx, id)
			text = screen.Text
		}
		if err == nil {
			err = conn.Send(ctx, id, []byte("end\n"))
		}
		var ended wire.EndedNote
		if err == nil {
			ended, err = conn.Wait(ctx, id)
		}
		if err != nil || ended.Code != i%100 || ended.Signal != 0 {
			fmt.Printf("session %d, %s: %+v, %v\n", i, id, ended, err)
			return 0
		}
	}
	fmt.Println("all")
	return 0
}
