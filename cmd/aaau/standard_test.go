package main

import (
	"bytes"
	"errors"
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

// Whoever makes the input non-blocking while we read it, all of it comes.
func TestNonBlockingInput(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	fd, err := unix.Dup(int(r.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	r.Close()
	ours := os.NewFile(uintptr(fd), "stdin") // blocking, as we get it from who starts us
	defer ours.Close()
	if err := unix.SetNonblock(fd, true); err != nil {
		t.Fatal(err)
	}
	if _, err := ours.Read(make([]byte, 1)); !errors.Is(err, unix.EAGAIN) {
		t.Fatalf("it is not non-blocking: %v", err)
	}
	// The writer waits for the reader, so that mostly nothing is there to be read yet.
	const rounds = 200
	reads, got := make(chan struct{}), make(chan error)
	go func() {
		for range rounds {
			reads <- struct{}{}
			if _, err := io.ReadFull(standard{&ours}, make([]byte, 1)); err != nil {
				got <- err
				return
			}
		}
		got <- nil
	}()
	for range rounds {
		select {
		case <-reads:
			if _, err := w.WriteString("x"); err != nil {
				t.Fatal(err)
			}
		case err := <-got:
			t.Fatal(err)
		}
	}
	if err := <-got; err != nil {
		t.Error(err)
	}
	w.Close()
	if n, err := (standard{&ours}).Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Errorf("at the end: %d bytes, %v", n, err)
	}
}
