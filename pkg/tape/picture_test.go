package tape

import (
	"errors"
	"io"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// A picture of which less was written than there is, is an error that says so, and the one
// before stays.
func TestPictureCutShort(t *testing.T) {
	tape, err := New(1 << 20)
	if err != nil {
		t.Fatal(err)
	}
	defer tape.Close()
	if err := tape.SetPicture([]byte("whole")); err != nil {
		t.Fatal(err)
	}
	pwritev = func(int, [][]byte, int64) (int, error) { return 3, nil }
	defer func() { pwritev = unix.Pwritev }()
	err = tape.SetPicture([]byte("torn"))
	if !errors.Is(err, io.ErrShortWrite) || strings.Contains(err.Error(), "%!") {
		t.Errorf("%v", err)
	}
	if got := string(tape.Picture()); got != "whole" {
		t.Errorf("the picture is %q", got)
	}
}
