package fdstore

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// systemd stands in for the one end of the protocol; the real one keeps sessions in
// test/system.
type systemd struct {
	t    *testing.T
	conn *net.UnixConn
	said chan string
	kept chan int
}

func serve(t *testing.T) (*Store, *systemd) {
	t.Helper()
	addr := &net.UnixAddr{Name: filepath.Join(t.TempDir(), "notify"), Net: "unixgram"}
	conn, err := net.ListenUnixgram("unixgram", addr)
	if err != nil {
		t.Fatal(err)
	}
	s := &systemd{t: t, conn: conn, said: make(chan string, 10), kept: make(chan int, 10)}
	t.Cleanup(func() { conn.Close() })
	go func() {
		for {
			buf, oob := make([]byte, 4096), make([]byte, 4096)
			n, oobn, _, _, err := conn.ReadMsgUnix(buf, oob)
			if err != nil {
				return
			}
			text := string(buf[:n])
			s.said <- text
			messages, _ := unix.ParseSocketControlMessage(oob[:oobn])
			for _, m := range messages {
				fds, _ := unix.ParseUnixRights(&m)
				for _, fd := range fds {
					if strings.HasPrefix(text, "FDSTORE=1") {
						s.kept <- fd
					} else {
						unix.Close(fd)
					}
				}
			}
		}
	}()
	t.Setenv("NOTIFY_SOCKET", addr.Name)
	return New(), s
}

func TestParcel(t *testing.T) {
	store, s := serve(t)
	var files []*os.File
	var fds []int
	for _, name := range []string{"a", "b", "c"} {
		f, err := os.Create(filepath.Join(t.TempDir(), name))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		files, fds = append(files, f), append(fds, int(f.Fd()))
	}
	if err := store.Put("id1", []byte("a note"), fds...); err != nil {
		t.Fatal(err)
	}
	if got := <-s.said; got != "FDSTORE=1\nFDPOLL=0\nFDNAME=id1" {
		t.Errorf("%q", got)
	}
	<-s.said // the barrier
	parcel := <-s.kept
	defer unix.Close(parcel)
	for range 3 { // it can be opened again and again: a process may die after it has
		note, got, err := Open(parcel)
		if err != nil || string(note) != "a note" || len(got) != 3 {
			t.Fatalf("%q %v %v", note, got, err)
		}
		for i, fd := range got {
			var a, b unix.Stat_t
			if unix.Fstat(fd, &a) != nil || unix.Fstat(int(files[i].Fd()), &b) != nil || a.Ino != b.Ino {
				t.Errorf("descriptor %d is another", i)
			}
			if flags, _ := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); flags&unix.FD_CLOEXEC == 0 {
				t.Errorf("descriptor %d would be inherited", i)
			}
			unix.Close(fd)
		}
	}
	if err := store.Remove("id1"); err != nil {
		t.Fatal(err)
	}
	if got := <-s.said; got != "FDSTOREREMOVE=1\nFDNAME=id1" {
		t.Errorf("%q", got)
	}
}

func TestNoParcel(t *testing.T) {
	ends, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(ends[1])
	if _, _, err := Open(ends[1]); err == nil {
		t.Error("an empty socket is a parcel")
	}
	unix.Close(ends[0])
	if _, _, err := Open(ends[1]); err == nil {
		t.Error("an ended socket is a parcel")
	}
	t.Setenv("NOTIFY_SOCKET", "")
	if New() != nil {
		t.Error("a store without systemd")
	}
}
