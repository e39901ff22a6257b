package vm

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	getFlags, setFlags     = 0x80086601, 0x40086602 // FS_IOC_GETFLAGS, FS_IOC_SETFLAGS
	getProject, setProject = 0x801c581f, 0x401c5820 // FS_IOC_FSGETXATTR, FS_IOC_FSSETXATTR
	inheritFlag            = 0x20000000             // FS_PROJINHERIT_FL
	inherit                = 0x200                  // FS_XFLAG_PROJINHERIT
)

// attributes are struct fsxattr.
type attributes struct {
	Flags, ExtentSize, Extents, Project, CowExtentSize uint32
	_                                                  [8]byte
}

func ioctl(path string, request uintptr, arg unsafe.Pointer) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, f.Fd(), request, uintptr(arg)); errno != 0 {
		return errno
	}
	return nil
}

// evade tries, as the owner of a file or directory, to take it out of its project. It
// says what the kernel answered.
func evade(path string) {
	var a attributes
	fmt.Println("get project:", ioctl(path, getProject, unsafe.Pointer(&a)))
	none := a
	none.Project, none.Flags = 0, a.Flags&^inherit
	fmt.Println("set project:", ioctl(path, setProject, unsafe.Pointer(&none)))
	other := a
	other.Project = 4711
	fmt.Println("set another:", ioctl(path, setProject, unsafe.Pointer(&other)))
	fmt.Println("set the same:", ioctl(path, setProject, unsafe.Pointer(&a)))
	var flags uint32
	fmt.Println("get flags:", ioctl(path, getFlags, unsafe.Pointer(&flags)))
	flags &^= inheritFlag
	fmt.Println("set flags:", ioctl(path, setFlags, unsafe.Pointer(&flags)))
}

// project is a file's, and says whether what is made in it will have the same.
func project(t *testing.T, path string) (id uint32, inherited bool) {
	t.Helper()
	var a attributes
	if err := ioctl(path, getProject, unsafe.Pointer(&a)); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return a.Project, a.Flags&inherit != 0
}

func TestProjectIsNotTheAgentsToChange(t *testing.T) {
	begin(t, "4M")
	home := homes["operator"]
	said := agent(t, "operator", "mkdir d; touch d/file; for f in ~ d d/file; do aaau-test $f; done")
	want := "get project: <nil>\nset project: operation not permitted\nset another: operation not permitted\nset the same: operation not permitted\nget flags: <nil>\nset flags: operation not permitted\n"
	if said != strings.Repeat(want, 3) {
		t.Errorf("the kernel answers the agent: %s", said)
	}
	said = agent(t, "operator", "for f in ~ d d/file; do chattr -p 0 $f; chattr -P $f; chattr +P $f; chattr -R -p 4711 $f; done; mkdir d/later; head -c 9M /dev/zero >d/later/big")
	if !strings.Contains(said, "Operation not permitted") || !strings.Contains(said, "Disk quota exceeded") {
		t.Errorf("chattr says %s", said)
	}
	id, _ := project(t, home)
	if id == 0 {
		t.Fatalf("%s has no project", home)
	}
	for _, name := range []string{"", "d", "d/file", "d/later", "d/later/big"} {
		path := filepath.Join(home, name)
		got, inherited := project(t, path)
		fi, err := os.Stat(path)
		if err != nil || got != id || fi.IsDir() && !inherited {
			t.Errorf("%s has project %d, that of the home is %d, and passes it on: %v (%v)", path, got, id, inherited, err)
		}
	}
}

// What comes from elsewhere on the same file system counts, or does not come.
func TestNothingComesInUncounted(t *testing.T) {
	begin(t, "4M")
	agent(t, "operator", "mkdir d")
	root(t, as("operator", "bash", "-ec", "rm -rf shop; mkdir -p shop/dir; head -c 3M /dev/zero >shop/dir/big; head -c 3M /dev/zero >shop/file")...)
	home := homes["operator"]
	for name, do := range map[string]func() error{
		"link":           func() error { return os.Link("/home/operator/shop/file", home+"/file") },
		"rename":         func() error { return os.Rename("/home/operator/shop/file", home+"/file") },
		"rename of more": func() error { return os.Rename("/home/operator/shop/dir", home+"/dir") },
		"exchange": func() error {
			return unix.Renameat2(unix.AT_FDCWD, "/home/operator/shop/dir", unix.AT_FDCWD, home+"/d", unix.RENAME_EXCHANGE)
		},
	} {
		if err := do(); !errors.Is(err, unix.EXDEV) {
			t.Errorf("%s, by root: %v", name, err)
		}
	}
	said := agent(t, "operator", "cd ~; W=/home/operator/shop; ln $W/file file; mv $W/dir . && echo moved; mv $W/file .; du -sm .; ls $W", "-C", "/home/operator/shop")
	if !strings.Contains(said, "Invalid cross-device link") || !strings.Contains(said, "moved\n") || !strings.Contains(said, "Disk quota exceeded") || !strings.HasSuffix(said, "\nfile\n") {
		t.Errorf("the agent, moving 6 MiB into a home of 4: %s", said)
	}
}
