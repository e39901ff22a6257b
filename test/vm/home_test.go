package vm

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
)

const full = "Disk quota exceeded"

// Each person's home is held to home-max=, on every file system that can.
func TestHomesAreBounded(t *testing.T) {
	for _, fs := range []struct {
		name string
		use  func(*testing.T)
		full string
	}{
		{"ext4", func(*testing.T) {}, full},
		// With its own word for a project's.
		{"xfs", func(t *testing.T) { mountHomes(t, "loop,prjquota", "mkfs.xfs", "-q") }, "No space left on device"},
	} {
		t.Run(fs.name, func(t *testing.T) {
			begin(t, "4M")
			fs.use(t)
			said := agent(t, "operator", "head -c 9M /dev/zero >big; echo small >small; fallocate -l 9M more")
			if strings.Count(said, fs.full) < 2 {
				t.Errorf("9 MiB into a home of 4: %s", said)
			}
			if kib := used(t, homes["operator"]); kib > 4<<10 || kib < 3<<10 {
				t.Errorf("the home of 4 MiB has %d KiB", kib)
			}
			if said := agent(t, "observer", "head -c 3M /dev/zero >big; ls"); said != "big\n" {
				t.Errorf("another person's agent, when one home is full: %s", said)
			}
			said = agent(t, "operator", "rm *; for ((i = 0; i < 1500; i++)); do : >$i || break; done; mkdir d; ln -s d l; mkfifo f; echo $i")
			if strings.Count(said, fs.full) != 4 || !strings.HasSuffix(said, "\n1023\n") { // and the home itself
				t.Errorf("1500 empty files into a home of 4 MiB: %s", said)
			}
			said = agent(t, "operator", "rm *; exec 9>n; rm n; head -c 9M /dev/zero >&9; exec 9>&-; head -c 3M /dev/zero >big; ls")
			if strings.Count(said, fs.full) != 1 || !strings.HasSuffix(said, "\nbig\n") {
				t.Errorf("9 MiB without a name into a home of 4, and then 3: %s", said)
			}
		})
	}
}

// mountHomes has the homes on a file system of 300 MiB for the length of a test.
func mountHomes(t *testing.T, options string, mkfs ...string) {
	t.Helper()
	const image, place = "/root/homes.img", "/var/lib/aaau/homes"
	root(t, "truncate", "-s", "300M", image)
	root(t, append(mkfs, image)...)
	root(t, "mount", "-o", options, image, place)
	t.Cleanup(func() {
		await(t, "the last session's mounts to go", func() bool { return exec.Command("umount", place).Run() == nil })
		root(t, "rm", image)
	})
	if err := os.Chmod(place, 0o700); err != nil {
		t.Fatal(err)
	}
}

// used is in KiB.
func used(t *testing.T, dir string) (n int) {
	t.Helper()
	fmt.Sscan(root(t, "du", "-sk", dir), &n)
	return n
}

func TestChangedHomeMaxCountsAtTheNextStart(t *testing.T) {
	begin(t, "16M")
	agent(t, "operator", "head -c 12M /dev/zero >big")
	setHomeMax(t, "8M")
	if said := agent(t, "operator", "echo x >>big; echo x >new; cat new; rm big; head -c 5M /dev/zero >big; echo *"); strings.Count(said, full) != 2 || !strings.HasSuffix(said, "\nbig new\n") {
		t.Errorf("12 MiB in a home of 8: %s", said)
	}
	setHomeMax(t, "32M")
	if said := agent(t, "operator", "head -c 20M /dev/zero >more; head -c 20M /dev/zero >most"); strings.Count(said, full) != 1 {
		t.Errorf("45 MiB into a home of 32: %s", said)
	}
	setHomeMax(t, "infinity")
	if said := agent(t, "operator", "rm -f *; head -c 60M /dev/zero >big; ls"); said != "big\n" {
		t.Errorf("without a limit: %s", said)
	}
}

// The bridge has another limit here than the kernel, and would freeze whom it measures.
func TestBoundedHomesAreNotMeasured(t *testing.T) {
	begin(t, "4M")
	agent(t, "operator", "true") // the bridge runs
	setHomeMax(t, "40M")
	if said := agent(t, "operator", "for i in 1 2 3 4 5; do head -c 4M /dev/zero >>big; sleep 1; done; stat -c %s big"); said != "20971520\n" {
		t.Errorf("20 MiB in a home of 40: %s", said)
	}
}

// A home that had something in it before it could be bounded is measured, one that an
// administrator has put into a project is left in that, and a kernel that only counts
// what projects have does not bound them.
func TestOtherHomesAreMeasured(t *testing.T) {
	for _, test := range []struct {
		name, prepare string
		wait          bool // until it has been measured
	}{
		{"with files", "touch HOME/file; chown -R agent:agent HOME", true},
		{"root's with files", "touch HOME/file; chown agent:agent HOME/file", false},
		{"in a project", "chattr -p 4711 +P HOME; chown agent:agent HOME", false},
		{"only counted", "", true},
	} {
		t.Run(test.name, func(t *testing.T) {
			begin(t, "4M")
			if test.prepare == "" {
				mountHomes(t, "loop", "mkfs.ext4", "-q", "-O", "quota,project", "-E", "quotatype=prjquota")
			}
			home := homes["operator"]
			root(t, "sh", "-ec", strings.ReplaceAll("mkdir -p -m 700 HOME; "+test.prepare, "HOME", home))
			before, _ := project(t, home)
			if test.wait {
				s := start(t, as("operator", "aaau", "--", "sh", "-c", "while head -c 4M /dev/zero >>big; do sleep 0.5; done")...)
				await(t, "it to be measured", func() bool { return strings.Contains(s.saying(t), "frozen") })
				if got := s.file(t, "cgroup.freeze"); got != "1" {
					t.Errorf("cgroup.freeze is %s", got)
				}
				s.end(t)
			} else if said := agent(t, "operator", "head -c 9M /dev/zero >big; stat -c %s big"); !strings.HasPrefix(said, "9437184\n") {
				t.Errorf("9 MiB into a home that is not bounded: %s", said)
			}
			if after, _ := project(t, home); after != before {
				t.Errorf("the project is %d, and was %d", after, before)
			}
		})
	}
}
