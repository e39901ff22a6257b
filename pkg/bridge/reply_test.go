package bridge

import (
	"fmt"
	"strings"
	"testing"

	"github.com/AgentaaU/AaaU/pkg/argv"
	"github.com/AgentaaU/AaaU/pkg/auth"
	"github.com/AgentaaU/AaaU/pkg/privsep"
	"github.com/AgentaaU/AaaU/pkg/session"
	"github.com/AgentaaU/AaaU/pkg/spec"
	"github.com/AgentaaU/AaaU/pkg/wire"
)

// What is told of sessions fits into a frame, whatever people call their directories
// and programs their windows: wire.Frame panics at what does not.
func TestRepliesFit(t *testing.T) {
	long := strings.Repeat("n", 255) // LOGIN_NAME_MAX
	for _, path := range []string{"/<", "/tmp/<a", "/tmp/<aaaaaaaaaa", "/" + strings.Repeat("\xff", 200)} {
		var dirs []spec.Shown
		for n := range spec.MaxDirs {
			dirs = append(dirs, spec.Shown{Path: argv.String(fmt.Sprintf("%s%x", path, n))})
		}
		i := describe(session.Info{
			Session: privsep.Session{ID: strings.Repeat("i", 32), User: long, Argv: argv.Argv{strings.Repeat("\U0001f600", 100)}, Dirs: dirs},
			Profile: strings.Repeat("p", 40), Private: true,
		}, strings.Repeat("n", 40), auth.Interactive)
		i.OwnerName = long
		i.Title = strings.Repeat("\U0001f600", 200)
		i.State, i.Frozen = wire.StateFrozen, []string{byAdmin, exposed, "home-full", "disk-full"}
		i.Owner, i.Rows, i.Cols, i.Bytes, i.Clients = 1<<32-1, 1<<16-1, 1<<16-1, 1<<62, 1<<20
		var list wire.Reply
		for range page {
			list.Sessions = append(list.Sessions, i)
		}
		wire.Frame(wire.Answer, list)
		for range maxPeople {
			i.People = append(i.People, wire.Person{Client: 1<<64 - 1, UID: 1<<32 - 1, Name: long, PID: 1<<31 - 1, Role: auth.Interactive.String(), Since: now(), Drives: true})
		}
		for range maxShares {
			i.Shared = append(i.Shared, wire.Share{UID: 1<<32 - 1, Name: long, Role: auth.Interactive.String()})
		}
		wire.Frame(wire.Answer, wire.Reply{Sessions: []wire.SessionInfo{i}})
	}
}
