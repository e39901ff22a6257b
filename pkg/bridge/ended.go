package bridge

import (
	"github.com/AgentaaU/AaaU/pkg/session"
	"github.com/AgentaaU/AaaU/pkg/wire"
)

// endedNote is how a session that has ended did.
func (l *live) endedNote() wire.EndedNote {
	e := l.Exit()
	switch {
	case l.isSilent():
		return wire.EndedNote{Code: wire.CodeUnknown, Unknown: true, Why: session.Unknown}
	case e.Wait.Signaled():
		return wire.EndedNote{Signal: int(e.Wait.Signal()), Why: l.memory.why}
	default:
		return wire.EndedNote{Code: e.Wait.ExitStatus()}
	}
}

// isSilent says whether nobody knows how the session's program ended, from unwatchMemory on:
// an end for want of memory is told as that.
func (l *live) isSilent() bool { return l.Exit().Silent && l.memory.why == "" }
