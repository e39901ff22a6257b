package bridge

import (
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"maps"
	"slices"
	"strings"

	"github.com/AgentaaU/AaaU/pkg/argv"
	"github.com/AgentaaU/AaaU/pkg/audit"
	"github.com/AgentaaU/AaaU/pkg/auth"
	"github.com/AgentaaU/AaaU/pkg/peer"
	"github.com/AgentaaU/AaaU/pkg/wire"
)

// Whose a session is that is looked back at, who may, and what of it they see.

// inRecord finds a session whose record is there, of whatever age: its id, and what
// decides who may see it. Who may not hears what is heard of one that never was.
func (c *client) inRecord(ref string) (id string, right auth.Session, err error) {
	l, role, err := c.target(ref)
	if err == nil {
		if role < auth.ReadOnly {
			return "", right, refusal("denied", "session %s is not yours to be in any more", l.ID)
		}
		return l.ID, l.rights(), nil
	}
	var note *wire.ErrorNote
	if p, ok := c.b.resolvePast(c.who, ref); ok {
		return p.Info.ID, p.Right, nil
	}
	if !errors.As(err, &note) || note.Code != "no-session" && note.Code != wire.StateStranded {
		return "", right, err
	}
	id, right, failed := c.b.resolveOld(c.who, ref)
	if failed != nil || id != "" {
		return id, right, failed
	}
	return "", right, err
}

// leastRef is how much of an id names a session that only the record knows, in bytes.
const leastRef = 4

// resolveOld is resolve for what only the record knows: by the id, or the beginning of
// one that no other has. An empty id: there is none that who may know of.
func (b *Bridge) resolveOld(who peer.Peer, ref string) (id string, right auth.Session, err error) {
	rights, rules := b.rights(), b.policy()
	may := func(chain string) (auth.Session, bool, error) {
		if chain == "" || audit.IsBridge(chain) { // no chain, and none of a session's
			return auth.Session{}, false, nil
		}
		start, _, err := audit.Start(b.Record.Dir(), chain)
		if errors.Is(err, fs.ErrNotExist) {
			return auth.Session{}, false, nil
		}
		right := rights.of(chain, start)
		return right, rules.On(who, right) >= auth.ReadOnly, err
	}
	if right, ok, err := may(ref); ok || err != nil || len(ref) < leastRef {
		if ok {
			id = ref
		}
		return id, right, err
	}
	chains, err := audit.Chains(b.Record.Dir())
	if err != nil {
		return "", right, err
	}
	for _, chain := range chains {
		if !strings.HasPrefix(chain, ref) {
			continue
		}
		its, ok, err := may(chain)
		switch {
		case err != nil:
			return "", right, err
		case !ok:
		case id != "":
			return "", right, refusal("ambiguous", "%s could be %s, %s", argv.Quote(ref, 40), id, chain)
		default:
			id, right = chain, its
		}
	}
	return id, right, nil
}

// rights are what decides about the sessions that this bridge knows, by id.
type rights map[string]auth.Session

func (b *Bridge) rights() rights {
	all := rights{}
	b.mu.Lock()
	for _, p := range b.recent() {
		all[p.Info.ID] = p.Right
	}
	live := slices.Collect(maps.Values(b.sessions))
	b.mu.Unlock()
	for _, l := range live {
		all[l.ID] = l.rights()
	}
	return all
}

// of is what decides about a chain, by what it says of its start where nothing else is
// known: then nobody has it shared with them any more. Without even that it is the
// Admins', of all profiles.
func (r rights) of(chain string, start *audit.SessionStart) auth.Session {
	if right, ok := r[chain]; ok {
		return right
	}
	if start == nil {
		return auth.Session{Owner: nobody, Private: true}
	}
	return auth.Session{Owner: start.UID, Profile: start.Profile, Private: start.Private}
}

// nobody is no user's uid.
const nobody = ^uint32(0)

// view is how somebody sees a session's records.
type view struct {
	out        *pieces
	all        bool   // what others typed, too
	uid        uint32 // whose own input they see
	begun      bool
	incomplete string // what is missing at the beginning
}

func (c *client) view(out *pieces, s auth.Session) *view {
	role := c.b.policy().On(c.who, s)
	return &view{out: out, all: role.SeesAll() || s.Owner == c.who.UID, uid: c.who.UID}
}

// see makes a record what they may see of it, when it is its turn.
func (v *view) see(e *audit.Entry) error {
	if err := v.out.rest(); err != nil || v.all {
		return err
	}
	return e.Withhold(v.uid)
}

func (v *view) records(dir, id string) iter.Seq2[*audit.Entry, error] {
	return func(yield func(*audit.Entry, error) bool) {
		for e, err := range audit.Read(dir, id) {
			if err == nil {
				if !v.begun && e.Seq > 1 {
					v.incomplete = fmt.Sprintf("it begins with record %d: what was before has expired", e.Seq)
				}
				v.begun = true
				err = v.see(e)
			}
			if !yield(e, err) {
				return
			}
		}
	}
}
