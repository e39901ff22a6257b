package system

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

const ext4Place = "/srv/ext4"

// ext4 is where an ext4 of 256 MiB is mounted, for what a real disk has and the
// sandbox's homes, which are tmpfs, have not. It has no flags, as most machines'
// root has none, and holds operator, which is operator's. The first test that asks
// makes it, all share it, and each leaves it empty.
func ext4(t *testing.T) string {
	t.Helper()
	if err := makeExt4(); err != nil {
		t.Fatalf("no ext4 at %s: %v", ext4Place, err)
	}
	t.Cleanup(func() {
		made, err := filepath.Glob(ext4Place + "/*")
		if err != nil {
			t.Error(err)
		}
		for _, name := range made {
			if err := os.RemoveAll(name); err != nil {
				t.Errorf("the test does not leave %s empty: %v", ext4Place, err)
			}
		}
	})
	operator, home := as(t, "operator"), filepath.Join(ext4Place, "operator")
	if err := os.Mkdir(home, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(home, int(operator.uid), int(operator.gid)); err != nil {
		t.Fatal(err)
	}
	return ext4Place
}

// makeExt4 has nobody to undo it: the image has no name and the loop device clears
// itself, so both go with the mount, and that with the sandbox, however it ends.
var makeExt4 = sync.OnceValue(func() error {
	fd, err := unix.MemfdCreate("aaau-test-ext4", unix.MFD_CLOEXEC)
	if err != nil {
		return fmt.Errorf("making the image: %w", err)
	}
	image := os.NewFile(uintptr(fd), "the image")
	defer image.Close()
	if err := image.Truncate(256 << 20); err != nil {
		return err
	}
	mkfs := exec.Command("mkfs.ext4", "-q", "/proc/self/fd/3")
	mkfs.ExtraFiles = []*os.File{image}
	if out, err := mkfs.CombinedOutput(); err != nil {
		return fmt.Errorf("mkfs.ext4: %w: %s", err, out)
	}

	loop, err := attachLoop(image)
	if err != nil {
		return fmt.Errorf("attaching a loop device: %w", err)
	}
	defer loop.Close()
	if err := os.Mkdir(ext4Place, 0o755); err != nil {
		return err
	}
	if err := unix.Mount(loop.Name(), ext4Place, "ext4", 0, ""); err != nil {
		return fmt.Errorf("mounting %s: %w", loop.Name(), err)
	}
	return os.Remove(ext4Place + "/lost+found")
})

// attachLoop gives the image a loop device, until that is neither open nor
// mounted. The devices are the host's, and so are other sandboxes that want one.
func attachLoop(image *os.File) (*os.File, error) {
	const control = "/dev/loop-control"
	if err := makeNode(control, unix.S_IFCHR, 10, 237); err != nil {
		return nil, err
	}
	c, err := os.OpenFile(control, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	for {
		free, err := unix.IoctlRetInt(int(c.Fd()), unix.LOOP_CTL_GET_FREE)
		if err != nil {
			return nil, fmt.Errorf("asking for a free one: %w", err)
		}
		var major, minor uint32
		number, err := os.ReadFile(fmt.Sprintf("/sys/block/loop%d/dev", free))
		if err != nil {
			return nil, err
		}
		if _, err := fmt.Sscanf(string(number), "%d:%d", &major, &minor); err != nil {
			return nil, fmt.Errorf("loop%d is %q: %w", free, number, err)
		}
		name := fmt.Sprintf("/dev/loop%d", free)
		if err := makeNode(name, unix.S_IFBLK, major, minor); err != nil {
			return nil, err
		}
		loop, err := os.OpenFile(name, os.O_RDWR, 0)
		if err != nil {
			return nil, err
		}
		err = unix.IoctlLoopConfigure(int(loop.Fd()), &unix.LoopConfig{
			Fd:   uint32(image.Fd()),
			Info: unix.LoopInfo64{Flags: unix.LO_FLAGS_AUTOCLEAR},
		})
		if err == nil {
			return loop, nil
		}
		loop.Close()
		if err != unix.EBUSY { // another was faster
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
}

func makeNode(name string, kind, major, minor uint32) error {
	err := unix.Mknod(name, kind|0o600, int(unix.Mkdev(major, minor)))
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("making %s: %w", name, err)
	}
	return nil
}

func TestExt4IsOnePersonsAndReal(t *testing.T) {
	begin(t)
	operator := as(t, "operator")
	left := ""
	t.Run("used", func(t *testing.T) {
		place := ext4(t)
		var s unix.Statfs_t
		if err := unix.Statfs(place, &s); err != nil || s.Type != unix.EXT4_SUPER_MAGIC {
			t.Errorf("%s is a file system of type %#x: %v", place, s.Type, err)
		}
		if got := output(t, as(t, "root"), "stat", "-c", "%A %U:%G", place, place+"/operator"); got != "drwxr-xr-x root:root\ndrwx------ operator:operator" {
			t.Errorf("%s and its home are %s", place, got)
		}
		left = place + "/operator/file"
		output(t, operator, "dd", "if=/dev/zero", "of="+left, "bs=1M", "count=8", "conv=fsync", "status=none")
		if r := run(t, as(t, "observer"), "ls", place+"/operator"); r.status == 0 {
			t.Errorf("observer may look into operator's home: %q", r.stdout)
		}
	})
	t.Run("used again", func(t *testing.T) {
		place := ext4(t)
		if r := run(t, operator, "ls", "-A", place, place+"/operator"); r.stdout != place+":\noperator\n\n"+place+"/operator:\n" {
			t.Errorf("a test finds what another has left: %+v", r)
		}
		mounts, err := os.ReadFile("/proc/self/mounts")
		if n := strings.Count(string(mounts), " "+place+" "); n != 1 || err != nil {
			t.Errorf("%d are mounted at %s: %v\n%s", n, place, err, mounts)
		}
	})
	if _, err := os.Lstat(left); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%s stays when the test is over: %v", left, err)
	}
}

// While a session has a directory of a disk, the disk cannot be unmounted; after its end it can.
func TestDiskIsInUse(t *testing.T) {
	begin(t)
	place, operator := ext4(t), as(t, "operator")
	disk := "/srv/usb"
	if err := os.Mkdir(disk, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Remove(disk) })
	if out, err := exec.Command("mount", "--bind", place, disk).CombinedOutput(); err != nil {
		t.Fatalf("mount: %v: %s", err, out)
	}
	mounted := true
	t.Cleanup(func() {
		if mounted {
			_ = unix.Unmount(disk, unix.MNT_DETACH)
		}
	})
	id := began(t, operator, disk+"/operator", "--workspace", ".", "--", "sleep", "1000")
	if out, err := exec.Command("umount", disk).CombinedOutput(); err == nil || !strings.Contains(string(out), "busy") {
		t.Errorf("umount: %v: %s", err, out)
	}
	output(t, operator, "aaau", "kill", id)
	run(t, operator, "aaau", "wait", id)
	await(t, "the disk to be unmounted", func() bool {
		err := exec.Command("umount", disk).Run()
		mounted = err != nil
		return !mounted
	})
}
