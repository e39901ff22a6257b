package gitland

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"
)

// commands are what one side does at random. Each has files of its own, so that whoever's commit
// changes the other's files has taken back what landed.
func commands(r *rand.Rand, side string) string {
	file := fmt.Sprintf("%s%d", side, r.IntN(5))
	branch := fmt.Sprintf("%s-branch%d", side, r.IntN(4))
	return []string{
		fmt.Sprintf("echo %d >>%s; git add %s", r.Uint32(), file, file),
		fmt.Sprintf("echo %d >>%s; git add %s; git commit -qm %s", r.Uint32(), file, file, side),
		fmt.Sprintf("echo %d >>%s; git add %s; git commit -qm %s", r.Uint32(), file, file, side),
		"git commit -qm " + side,
		"git branch -f " + branch,
		"git switch -qc " + fmt.Sprintf("%s-new%d", side, r.Uint32()),
		fmt.Sprintf("git tag %s-tag%d", side, r.Uint32()),
		"git status --porcelain",
		"git rm -q --cached " + file,
		"git reset -q",
	}[r.IntN(10)]
}

// Person and agent work at once, with landings all the time: no commit is lost on either side, both
// repositories stay whole, and no commit takes back what the other side did.
func TestRandomWork(t *testing.T) {
	p := newPair(t)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	made := map[string][]string{}
	var lock sync.Mutex
	var working sync.WaitGroup
	for side, r := range map[string]Repository{"person": p.person, "agent": p.agent} {
		working.Go(func() {
			random := rand.New(rand.NewPCG(seed, uint64(len(side))))
			for range 150 {
				out, err := p.shell(r, commands(random, side)+"; git rev-parse HEAD")
				if lines := strings.Fields(out); err == nil && len(lines) > 0 {
					lock.Lock()
					made[side] = append(made[side], lines[len(lines)-1])
					lock.Unlock()
				}
				time.Sleep(time.Duration(random.IntN(30)) * time.Millisecond) // people and agents do not spin
			}
		})
	}
	stop := make(chan struct{})
	landings, landed, taken, waited := 0, 0, 0, 0
	told := map[string]bool{}
	landing := func() {
		report, err := p.lander.Land(t.Context())
		if err != nil {
			t.Error(err)
		}
		landings, landed, taken = landings+1, landed+len(report.Landed), taken+len(report.Taken)
		if report.Later {
			waited++
		}
		for _, s := range report.Told {
			told[s] = true
		}
	}
	var loop sync.WaitGroup
	loop.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				landing()
			}
		}
	})
	working.Wait()
	close(stop)
	loop.Wait()
	landing()
	landing()
	t.Logf("%d landings, of which %d waited; %d refs landed and %d were taken; %d clashes", landings, waited, landed, taken, len(told))
	p.whole()
	for side, r := range map[string]Repository{"person": p.person, "agent": p.agent} {
		for _, id := range made[side] {
			if out, err := p.shell(r, "git cat-file -e "+id); err != nil {
				t.Errorf("commit %s of the %s is lost: %s", id, side, out)
			}
		}
		other := map[string]string{"person": "agent", "agent": "person"}[side]
		back := 0
		for line := range strings.Lines(p.must(r, "git log --all --reflog --format='%n%H %s' --name-status")) {
			if f := strings.Fields(line); len(f) == 2 && len(f[0]) == 40 {
				back = 0
				if f[1] == side {
					back = 1
				}
			} else if len(f) == 2 && back == 1 && strings.HasPrefix(f[1], other) {
				t.Errorf("a commit of the %s changes %s (%s)", side, f[1], f[0])
			}
		}
	}
}
