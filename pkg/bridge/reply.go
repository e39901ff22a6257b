package bridge

import (
	"path/filepath"

	"github.com/AgentaaU/AaaU/pkg/auth"
	"github.com/AgentaaU/AaaU/pkg/scope"
	"github.com/AgentaaU/AaaU/pkg/session"
	"github.com/AgentaaU/AaaU/pkg/wire"
)

// reply is what a client in role hears of the session that it is now in.
func (b *Bridge) reply(s *session.Session, role auth.Role, offset int64) wire.OpenReply {
	memory, tasks := scope.Limits(s.Profile, s.Scope)
	return wire.OpenReply{
		ID: s.ID, Name: directory(s), Profile: s.Profile, Program: program(s), User: s.User,
		Owner: s.Owner.UID, Role: role.String(), Began: float64(s.Began.UnixMicro()) / 1e6, Offset: offset,
		Dirs: s.Dirs, Secrets: s.Secrets, Watch: s.Watch, Private: s.Private,
		Limits: wire.Limits{Memory: memory, Tasks: tasks, Home: b.HomeMax},
		Record: "events",
	}
}

// program is the name of what a session runs, not longer than a name should be.
func program(s *session.Session) string {
	name := filepath.Base(s.Argv[0])
	return name[:min(len(name), 64)]
}

// directory names a session after its first workspace.
func directory(s *session.Session) string {
	for _, w := range workspaces(s) {
		return filepath.Base(w)
	}
	return ""
}

// workspaces are the person's directories that a session works in.
func workspaces(s *session.Session) (paths []string) {
	for _, d := range s.Dirs {
		if !d.Tool {
			paths = append(paths, string(d.Path))
		}
	}
	return paths
}
