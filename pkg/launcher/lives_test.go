package launcher

import (
	"os/exec"
	"syscall"
	"testing"
)

// The pid of a stage is used only while it is certainly the stage's.
func TestLives(t *testing.T) {
	var c child
	cmd := exec.Command("cat")
	cmd.SysProcAttr = &syscall.SysProcAttr{PidFD: &c.pidfd}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(c.pidfd)
	if err := c.lives(); err != nil {
		t.Error(err)
	}
	in.Close()
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	if c.lives() == nil {
		t.Error("one that has ended and was reaped is taken to live")
	}
}
