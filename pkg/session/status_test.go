package session

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/AgentaaU/AaaU/pkg/privsep"
)

// A stage is heard though there were no descriptors for a while.
func TestHearWithoutDescriptors(t *testing.T) {
	failures := 2
	pipe2 = func(p []int, flags int) error {
		if failures--; failures >= 0 {
			return unix.EMFILE
		}
		return unix.Pipe2(p, flags)
	}
	defer func() { pipe2 = unix.Pipe2 }()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := w.WriteString(`{"ended":{"wait":1792}}` + "\n"); err != nil {
		t.Fatal(err)
	}
	w.Close()
	heard := uint32(0)
	hear(r, func(st privsep.Status) { heard = uint32(st.Ended.Wait) })
	if heard != 1792 {
		t.Errorf("it has heard %d", heard)
	}
}

// An abandoned session is not heard for ever.
func TestHearAbandoned(t *testing.T) {
	pipe2 = func([]int, int) error { return unix.EMFILE }
	defer func() { pipe2 = unix.Pipe2 }()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	r.Close()
	hear(r, func(privsep.Status) { t.Error("it has heard something") })
}
