package bridge

import (
	"context"
	"errors"

	"github.com/AgentaaU/AaaU/pkg/auth"
	"github.com/AgentaaU/AaaU/pkg/wire"
)

// request is one kind of what a client may ask for: what it must be allowed to in
// the session that it is about, and what is done. One without an action is about no
// session, or also about one of long ago, and sees itself to what may be seen.
type request struct {
	needs auth.Action
	any   func(*client, context.Context, wire.Request) (wire.Reply, error)
	live  func(*client, context.Context, wire.Request, *live) (wire.Reply, error)
	past  func(past) wire.Reply // nil: it needs a session that has not ended
	tells bool                  // it adds to the session's record, and takes of the person's allowance for that
}

var requests = map[wire.Verb]request{
	wire.DoProfile:   {any: (*client).tellProfile},
	wire.DoList:      {any: (*client).list},
	wire.DoSubscribe: {any: (*client).subscribe},
	wire.DoReplay:    {any: (*client).replay},
	wire.DoExport:    {any: (*client).export},
	wire.DoSearch:    {any: (*client).search},
	wire.DoChanges:   {any: (*client).changes},
	wire.DoStatus:    {needs: auth.See, live: (*client).status, past: past.status},
	wire.DoWait:      {needs: auth.See, live: (*client).wait, past: past.ended},
	wire.DoPeek:      {needs: auth.See, live: (*client).peek},
	wire.DoRedraw:    {needs: auth.See, live: (*client).redraw},
	wire.DoSend:      {needs: auth.Type, live: (*client).sendBytes},
	wire.DoType:      {needs: auth.Type, live: (*client).pressKeys},
	wire.DoPut:       {needs: auth.Type, live: (*client).put, tells: true},
	wire.DoKill:      {needs: auth.Kill, live: (*client).kill, tells: true},
	wire.DoFreeze:    {needs: auth.Freeze, live: (*client).freeze, tells: true},
	wire.DoThaw:      {needs: auth.Thaw, live: (*client).thaw, tells: true},
	wire.DoShare:     {needs: auth.Share, live: (*client).share, tells: true},
	wire.DoUnshare:   {needs: auth.Share, live: (*client).unshare, tells: true},
	wire.DoDismiss:   {needs: auth.See, live: (*client).dismiss}, // and see there
}

// ask answers or refuses one request. An error is the connection's end.
func (c *client) ask(ctx context.Context, payload []byte) error {
	var req wire.Request
	if err := wire.Decode(payload, &req); err != nil {
		return err
	}
	if c.in == nil {
		defer func() { c.fds.drop(c.fds.take()) }() // what was not taken
	}
	reply, err := c.answer(ctx, req)
	switch {
	case errors.Is(err, errLater):
	case err != nil:
		note := c.note(err)
		note.Seq = req.Seq
		if note.Code == "denied" {
			c.b.tellRefused(c, req.Session, note.Message)
		}
		c.out.send(item{frame: c.enc.Refused(note)})
	default:
		reply.Seq = req.Seq
		c.out.send(item{frame: c.enc.Answer(reply)})
	}
	return nil
}

// errLater is returned for what is answered when it has come to pass.
var errLater = errors.New("answered later")

func (c *client) answer(ctx context.Context, req wire.Request) (wire.Reply, error) {
	how, ok := requests[req.Do]
	if !ok {
		return wire.Reply{}, refusal("unknown-request", "this bridge knows no request %.20q: is it older than the client?", req.Do)
	}
	if how.any != nil {
		return how.any(c, ctx, req)
	}
	l, role, err := c.target(req.Session)
	if err != nil {
		if p, ok := c.b.resolvePast(c.who, req.Session); ok && how.past != nil {
			return how.past(p), nil
		}
		return wire.Reply{}, err
	}
	if !role.May(how.needs, c.who.UID == l.Owner.UID) {
		return wire.Reply{}, forbidden(how.needs, l, role)
	}
	if how.tells {
		if err := c.b.controls.wait(ctx, c.who.UID); err != nil {
			return wire.Reply{}, err
		}
	}
	return how.live(c, ctx, req, l)
}

// forbidden refuses what somebody's role does not allow, and says who can do it.
func forbidden(what auth.Action, l *live, role auth.Role) error {
	verb := map[auth.Action]string{auth.Type: "type into", auth.Dismiss: "take others out of"}[what]
	if verb == "" {
		verb = what.String()
	}
	return refusal("denied", "you may not %s session %s: that is not allowed to you as %v there; ask its owner, %s, or an Admin", verb, l.ID, role, name(l.Owner.UID))
}

// target is the session that a request is about: the named one, or the client's own.
// In a session a client is at most what it came in as.
func (c *client) target(ref string) (*live, auth.Role, error) {
	if ref == "" && c.in != nil {
		return c.in, c.allowed(), nil
	}
	l, role, err := c.b.resolve(c.who, ref)
	return l, min(role, c.most), err
}
