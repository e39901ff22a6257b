package main

import (
	"bytes"
	"io"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// Whoever makes a stream of ours non-blocking, before we write or while we do, all of what is
// written comes.
func TestNonBlockingStream(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	// As we get it from who starts us: blocking, and not the runtime's to wait for.
	fd, err := unix.Dup(int(w.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	w.Close()
	ours := os.NewFile(uintptr(fd), "stdout")
	if err := unix.SetNonblock(fd, true); err != nil {
		t.Fatal(err)
	}
	sent := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	got := make(chan []byte)
	go func() {
		all, _ := io.ReadAll(r)
		got <- all
	}()
	n, err := standard{&ours}.Write(sent)
	if err != nil || n != len(sent) {
		t.Errorf("%d bytes, %v", n, err)
	}
	ours.Close()
	if all := <-got; !bytes.Equal(all, sent) {
		t.Errorf("%d of %d bytes came", len(all), len(sent))
	}
	if _, err := (standard{&ours}).Write(sent); err == nil {
		t.Error("a closed one takes something")
	}
}
