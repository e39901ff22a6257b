package bridge

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"strings"
	"sync/atomic"
	"time"

	"github.com/AgentaaU/AaaU/pkg/argv"
	"github.com/AgentaaU/AaaU/pkg/audit"
	"github.com/AgentaaU/AaaU/pkg/auth"
	"github.com/AgentaaU/AaaU/pkg/wire"
)

// Looking back is reading the record, which people do over the wire: nobody but the bridge
// needs to read its files. They see of it what they could have watched. That they look is
// recorded first, in the bridge's own chain.
//
//	ask ─▶ whose is it, may they? ─▶ record it ─▶ goroutine: audit.Read ─▶ as they may see it ─▶ format ─▶ pieces ─▶ sender
//
// The goroutine waits where its client does not read, as one that is paused does, and ends
// with it; or when others need its place, and it has waited long. It works only when
// it has the turn, and not for long at a time: what people type is not to wait for it.

// How many look back at a time, and how many of them are one person's. Each takes some
// MiB: a line, and what unpacks segments.
const (
	maxBack        = 64
	maxBackPerUser = 8
	// unread is how long one has its place for sure that waits for its client to read.
	unread = time.Minute
)

// How long one works who has the turn, and how long then nobody does. As long as there is
// something to do, Go's scheduler looks for what has come in from outside only once in
// ten milliseconds.
const (
	turnTime  = time.Millisecond
	turnPause = 100 * time.Microsecond
)

// Limits of what is looked for, in bytes, and of kinds.
const (
	maxSought = 1024
	maxWho    = 64
	maxKinds  = 32
)

// formats are what a record is exported in.
var formats = map[string]func(io.Writer, iter.Seq2[*audit.Entry, error], time.Time) error{
	wire.FormatAsciicast: audit.Asciicast,
	wire.FormatText: func(w io.Writer, records iter.Seq2[*audit.Entry, error], _ time.Time) error {
		return audit.Text(w, records)
	},
	wire.FormatJSONL: func(w io.Writer, records iter.Seq2[*audit.Entry, error], _ time.Time) error {
		return audit.JSONL(w, records)
	},
	wire.FormatRaw: func(w io.Writer, records iter.Seq2[*audit.Entry, error], _ time.Time) error {
		return audit.Raw(w, records, audit.Stdout)
	},
}

func (c *client) replay(ctx context.Context, req wire.Request) (wire.Reply, error) {
	req.Format = wire.FormatAsciicast
	return c.export(ctx, req)
}

func (c *client) export(ctx context.Context, req wire.Request) (wire.Reply, error) {
	return c.counted(func(at *look) (wire.Reply, error) { return c.exports(ctx, req, at) })
}

func (c *client) exports(ctx context.Context, req wire.Request, at *look) (wire.Reply, error) {
	write, ok := formats[req.Format]
	if !ok {
		return wire.Reply{}, refusal("malformed", "there is no format %.20q: asciicast, text, jsonl, raw", req.Format)
	}
	id, right, err := c.inRecord(req.Session)
	if err != nil {
		return wire.Reply{}, err
	}
	_, until, err := audit.Start(c.b.Record.Dir(), id)
	if err != nil && !errors.Is(err, fs.ErrNotExist) { // it is about to be there
		return wire.Reply{}, err
	}
	did := audit.Control{Action: string(req.Do), Reason: req.Format}
	return c.back(ctx, req, at, id, right.Profile, did, func(w *pieces) (string, error) {
		v := c.view(w, right)
		err := write(w, v.records(c.b.Record.Dir(), id), until)
		return v.incomplete, err
	})
}

func (c *client) search(ctx context.Context, req wire.Request) (wire.Reply, error) {
	return c.counted(func(at *look) (wire.Reply, error) { return c.searches(ctx, req, at) })
}

func (c *client) searches(ctx context.Context, req wire.Request, at *look) (wire.Reply, error) {
	if req.Query == nil {
		return wire.Reply{}, refusal("malformed", "what to look for is missing")
	}
	q, err := query(*req.Query)
	if err != nil {
		return wire.Reply{}, err
	}
	profile := ""
	if req.Session != "" || c.in != nil {
		var right auth.Session
		if q.Session, right, err = c.inRecord(req.Session); err != nil {
			return wire.Reply{}, err
		}
		profile = right.Profile
	}
	did := audit.Control{Action: string(req.Do), Reason: words(q)}
	if q.To.IsZero() {
		q.To = time.Now() // else it would find itself
	}
	return c.back(ctx, req, at, q.Session, profile, did, func(w *pieces) (string, error) {
		lines := json.NewEncoder(w)
		lines.SetEscapeHTML(false)
		return c.find(w, q, func(f wire.Found) error { return lines.Encode(f) })
	})
}

// query is a client's as the record has them.
func query(asked wire.Query) (audit.Query, error) {
	q := audit.Query{Text: asked.Text, User: asked.User}
	if len(q.Text) > maxSought || len(q.User) > maxWho || len(asked.Kinds) > maxKinds {
		return q, refusal("malformed", "what is looked for is too long: a text has %d bytes at most, a user %d", maxSought, maxWho)
	}
	for _, k := range asked.Kinds {
		if !audit.Kind(k).Known() {
			return q, refusal("malformed", "there is no kind of record %.20q: session_start, session_end, attach, detach, input, output, resize, control, denied …", k)
		}
		q.Kinds = append(q.Kinds, audit.Kind(k))
	}
	var err error
	if q.From, err = instant(asked.From); err == nil {
		q.To, err = instant(asked.To)
	}
	return q, err
}

// instant is a time that was given in seconds since 1970; 0 is none.
func instant(at float64) (time.Time, error) {
	const far = 1 << 40
	switch {
	case at == 0:
		return time.Time{}, nil
	case at < -far || at > far:
		return time.Time{}, refusal("malformed", "there is no time %g", at)
	}
	return time.UnixMicro(int64(at * 1e6)), nil
}

// words is what is looked for, for people.
func words(q audit.Query) string {
	parts := []string{}
	add := func(name, value string) {
		if value != "" {
			parts = append(parts, fmt.Sprintf("%s %q", name, value))
		}
	}
	add("text", q.Text)
	add("user", q.User)
	for i, at := range []time.Time{q.From, q.To} {
		if !at.IsZero() {
			add([]string{"from", "to"}[i], at.UTC().Format(time.RFC3339Nano))
		}
	}
	for _, k := range q.Kinds {
		add("kind", string(k))
	}
	return strings.Join(parts, ", ")
}

// find finds what fits, in chains that the client may see.
func (c *client) find(w *pieces, q audit.Query, each func(wire.Found) error) (incomplete string, err error) {
	rights, rules := c.b.rights(), c.b.policy()
	var of string // the chain that is looked through, and what its sessions are called
	var name string
	var dir argv.String
	q.View = func(chain string, start *audit.SessionStart) (func(*audit.Entry) error, bool) {
		if w.rest() != nil {
			return nil, false
		}
		if audit.IsBridge(chain) {
			role, err := rules.Role(c.who, "")
			return (&view{out: w, all: true}).see, err == nil && role.SeesAll()
		}
		of, name, dir = chain, "", ""
		if start != nil {
			name = start.Name
			if len(start.Workspaces) > 0 {
				dir = argv.String(start.Workspaces[0])
			}
		}
		right := rights.of(chain, start)
		return c.view(w, right).see, rules.On(c.who, right) >= auth.ReadOnly
	}
	return c.findIn(w, q, func(f wire.Found) error {
		if f.Session == of {
			f.Name, f.Dir = name, dir
		}
		return each(f)
	})
}

// findIn is find in the chains that q.View lets it see.
func (c *client) findIn(w *pieces, q audit.Query, each func(wire.Found) error) (incomplete string, err error) {
	for m, err := range audit.Search(c.b.Record.Dir(), q) {
		var bad *audit.BadLine
		switch {
		case errors.As(err, &bad):
			if bad.Torn {
				continue
			}
			if incomplete == "" {
				incomplete = bad.Mark()
			}
			if err := each(brokenFound(bad)); err != nil {
				return incomplete, err
			}
			continue
		case err != nil:
			return incomplete, err
		}
		if err := each(wire.Found{
			Time: seconds(m.Time), Source: string(m.Source), User: m.User, Session: m.SessionID, Kind: string(m.Kind),
			Text: m.Text, Metadata: m.Metadata, Seq: m.Seq,
		}); err != nil {
			return incomplete, err
		}
	}
	return incomplete, w.ctx.Err()
}

// brokenFound is what stands among what was found where a chain breaks.
func brokenFound(bad *audit.BadLine) wire.Found {
	meta, _ := bad.Place() // a string and a number: it cannot fail
	return wire.Found{
		Time: seconds(bad.Time), Source: string(audit.System), User: "system", Session: bad.Chain,
		Kind: string(audit.KindBroken), Text: bad.Mark(), Metadata: meta,
	}
}

// back has do write what the client looks back at, in pieces, and answers when it is all
// sent. It says for people what is missing of it.
func (c *client) back(ctx context.Context, req wire.Request, at *look, id, profile string, did audit.Control, do func(*pieces) (string, error)) (wire.Reply, error) {
	c.waits.Add(1) // no other frame need come meanwhile
	c.backs.Go(func() {
		defer c.waits.Add(-1)
		out := &pieces{ctx: ctx, c: c, at: at, seq: req.Seq, whole: req.Do != wire.DoSearch}
		err := c.b.looks.wait(ctx, c.who.UID)
		if err == nil {
			err = c.b.tellBack(c, id, profile, did)
		}
		if err == nil {
			err = out.take()
		}
		incomplete := ""
		if err == nil {
			incomplete, err = do(out)
		}
		if err2 := out.flush(); err == nil {
			err = err2
		}
		out.release()
		c.b.leaveBack(at) // before the answer: the client may ask again at once
		var bad *audit.BadLine
		switch {
		case ctx.Err() != nil: // it has gone
		case err != nil && at.isOver():
			c.out.sendOrEnd(c.enc.Refused(wire.ErrorNote{Seq: req.Seq, Code: wire.CodeGaveWay, Message: fmt.Sprintf(
				"it was not read on for %v, and others needed its place: ask again", unread)}))
		case errors.As(err, &bad):
			if !bad.Torn { // that one is being written
				incomplete = bad.Mark()
			}
			fallthrough
		case err == nil:
			c.out.send(item{frame: c.enc.Answer(wire.Reply{Seq: req.Seq, Incomplete: incomplete})})
		default:
			note := c.note(err)
			note.Seq = req.Seq
			c.out.send(item{frame: c.enc.Refused(note)})
		}
	})
	return wire.Reply{}, errLater
}

// counted has a request that looks back count as one from its beginning: to find out what
// it is about is a look through the record too, also for who may see nothing of it.
func (c *client) counted(ask func(*look) (wire.Reply, error)) (wire.Reply, error) {
	at, err := c.b.enterBack(c.who.UID)
	if err != nil {
		return wire.Reply{}, err
	}
	reply, err := ask(at)
	if !errors.Is(err, errLater) { // else back sees to it
		c.b.leaveBack(at)
	}
	return reply, err
}

// look is the place of one that looks back.
type look struct {
	uid   uint32
	waits atomic.Int64  // since when for its client to read, in nanoseconds since 1970; 0: it does not
	over  chan struct{} // closed when the place is another's
}

func (at *look) isOver() bool {
	select {
	case <-at.over:
		return true
	default:
		return false
	}
}

// enterBack takes a place for a person's look. Where none is left it takes that of one which
// has not been read on for long: one of their own, if they have as many as they may.
func (b *Bridge) enterBack(uid uint32) (*look, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	own := 0
	for at := range b.backs {
		if at.uid == uid {
			own++
		}
	}
	switch {
	case own >= maxBackPerUser:
		if !b.giveWay(func(at *look) bool { return at.uid == uid }) {
			return nil, refusal("too-many-waits", "you look back %d times already, as often as you may at a time", maxBackPerUser)
		}
	case len(b.backs) >= maxBack:
		if !b.giveWay(func(*look) bool { return true }) {
			return nil, refusal("too-many-waits", "people look back %d times already, as often as this bridge lets them at a time: try again", maxBack)
		}
	}
	at := &look{uid: uid, over: make(chan struct{})}
	b.backs[at] = true
	return at, nil
}

// giveWay ends the look of some that has waited longest for its client, if that is long
// enough. b.mu is held.
func (b *Bridge) giveWay(some func(*look) bool) bool {
	var least *look
	oldest := time.Now().Add(-unread).UnixNano()
	for at := range b.backs {
		if since := at.waits.Load(); since != 0 && since <= oldest && some(at) {
			least, oldest = at, since
		}
	}
	if least == nil {
		return false
	}
	delete(b.backs, least)
	close(least.over)
	return true
}

func (b *Bridge) leaveBack(at *look) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.backs, at)
}

// pieces sends what is written to it to a client, as the answer to a request.
type pieces struct {
	ctx   context.Context
	c     *client
	at    *look
	seq   uint32
	whole bool // only what fills a piece, until flush
	buf   []byte
	has   bool      // it is its turn
	until time.Time // then it gives that away
}

// take waits for the turn.
func (p *pieces) take() error {
	select {
	case p.c.b.turn <- struct{}{}:
		p.has, p.until = true, time.Now().Add(turnTime)
		return nil
	case <-p.ctx.Done():
		return p.ctx.Err()
	}
}

// release gives the turn away, if it has it.
func (p *pieces) release() {
	if p.has {
		p.has = false
		<-p.c.b.turn
	}
}

// rest lets others work after a while. An error means that the client has gone.
func (p *pieces) rest() error {
	if p.has && time.Now().Before(p.until) {
		return nil
	}
	p.release()
	time.Sleep(turnPause)
	return p.take()
}

func (p *pieces) Write(b []byte) (int, error) {
	n := len(b)
	for len(b) > 0 {
		part := b[:min(len(b), wire.MaxPiece-len(p.buf))]
		p.buf, b = append(p.buf, part...), b[len(part):]
		if len(p.buf) == wire.MaxPiece || !p.whole {
			if err := p.flush(); err != nil {
				return 0, err
			}
		}
	}
	return n, nil
}

// errGaveWay ends a look whose place is another's.
var errGaveWay = errors.New("it gave way")

// flush waits until the client has read most of what was sent before.
func (p *pieces) flush() error {
	if len(p.buf) == 0 {
		return nil
	}
	p.release()
	if p.at.isOver() { // just when it went on
		return errGaveWay
	}
	p.at.waits.Store(time.Now().UnixNano())
	sent := p.c.out.sendUntil(p.at.over, item{frame: p.c.enc.Piece(p.seq, p.buf)})
	p.at.waits.Store(0)
	p.buf = p.buf[:0]
	if !sent {
		return errGaveWay
	}
	select {
	case <-p.c.out.done:
		return errGone
	default:
		return p.take()
	}
}
