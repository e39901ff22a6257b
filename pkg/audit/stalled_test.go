package audit

import (
	"os"
	"testing"
	"time"
)

// stalledFile is a file on a disk whose writes wait until it is let go.
type stalledFile struct {
	*os.File
	began, letGo chan struct{}
}

func (f stalledFile) WriteAt(p []byte, off int64) (int, error) {
	f.began <- struct{}{}
	<-f.letGo
	return f.File.WriteAt(p, off)
}

// What is asked of a chain while its disk is stalled is answered at once: whoever asks for
// several would otherwise wait for the slowest of them.
func TestStalledChain(t *testing.T) {
	dir, began, letGo := t.TempDir(), make(chan struct{}, 100), make(chan struct{})
	s := open(t, dir, Options{open: func(name string, flag int, mode os.FileMode) (file, error) {
		f, err := os.OpenFile(name, flag, mode)
		return stalledFile{f, began, letGo}, err
	}})
	c := session(t, s, "s1")
	written := make(chan error)
	go func() {
		_, err := c.Output(Stdout, []byte("one"), true)
		written <- err
	}()
	<-began
	asked := make(chan struct{})
	go func() {
		defer close(asked)
		if c.Head() != (Head{}) || c.Durable() != (Head{}) || c.Recorded(Stdout) != 0 || c.Ended() {
			t.Error("something is recorded already")
		}
	}()
	select {
	case <-asked:
	case <-time.After(10 * time.Second):
		t.Error("the question waits for the disk")
	}
	close(letGo)
	<-asked
	ok(t, <-written)
	if c.Recorded(Stdout) != 3 {
		t.Errorf("%d bytes are recorded", c.Recorded(Stdout))
	}
	ok(t, s.Close())
}
