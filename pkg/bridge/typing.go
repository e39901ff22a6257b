package bridge

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/AgentaaU/AaaU/pkg/session"
	"github.com/AgentaaU/AaaU/pkg/tape"
	"github.com/AgentaaU/AaaU/pkg/vtseq"
	"github.com/AgentaaU/AaaU/pkg/wire"
)

// Much that comes at once looks like a paste to programs that read each key: a return in
// it, or right after it, is a line's end to them and no Enter. So keys come apart.
const (
	// afterText is how long after a text a key is pressed. Codex takes what comes within
	// 120 ms for a part of the text, Claude Code within 100 ms.
	afterText = 300 * time.Millisecond
	// reaction is how long it is waited for the program to print something of the text
	// before that time begins.
	reaction = 1500 * time.Millisecond
	// reading is how long it is waited for the program to have read the text: an agent that
	// starts, or is busy, would read both at once. It is looked up every readingEvery.
	reading      = 10 * time.Second
	readingEvery = 20 * time.Millisecond
	// betweenKeys is how long after a key the next one is pressed.
	betweenKeys = 50 * time.Millisecond
	// afterEscape is that time after a plain ESC byte: programs wait up to half a second
	// (readline) to see whether it begins a sequence.
	afterEscape = 600 * time.Millisecond
	// maxKeys bounds the keys of one request.
	maxKeys = 256
)

// burst is a text that was sent into a session.
type burst struct {
	at   time.Time
	from int64 // where the output was then
}

// sendBytes types bytes as they are. A return alone is Enter, and comes apart from what was
// sent before it.
func (c *client) sendBytes(ctx context.Context, req wire.Request, l *live) (wire.Reply, error) {
	if err := l.takesInput(); err != nil {
		return wire.Reply{}, err
	}
	if lines, _ := l.TakesLines(); !lines && !l.Pipes && string(req.Bytes) == "\r" {
		l.awaitReading(ctx)
	}
	return wire.Reply{}, c.sends(l, req.Bytes)
}

// pressKeys types a text, as it is or as a paste, and then presses keys, in the way that
// the program has asked its terminal for.
func (c *client) pressKeys(ctx context.Context, req wire.Request, l *live) (wire.Reply, error) {
	keys := req.Keys
	if req.Enter {
		keys = append(slices.Clone(keys), "Enter")
	}
	if len(keys) > maxKeys {
		return wire.Reply{}, refusal("malformed", "that is more than %d keys at once", maxKeys)
	}
	for _, key := range keys {
		if _, err := vtseq.AppendKey(nil, key, vtseq.KeyModes{}); err != nil {
			return wire.Reply{}, refusal("unknown-key", "%v", err)
		}
	}
	if err := l.takesInput(); err != nil {
		return wire.Reply{}, err
	}
	if len(req.Bytes) > 0 {
		send := c.sends
		if req.Paste {
			send = func(l *live, text []byte) error { return c.pastes(ctx, l, text) }
		}
		if err := send(l, req.Bytes); err != nil {
			return wire.Reply{}, err
		}
	}
	for i, key := range keys {
		if err := c.presses(ctx, l, key, i > 0); err != nil {
			return wire.Reply{}, err
		}
	}
	return wire.Reply{}, nil
}

// takesInput refuses what is sent to a session whose program cannot read it now.
func (l *live) takesInput() error {
	frozen := l.Frozen()
	for _, reason := range slices.Sorted(maps.Keys(frozen)) {
		return refusal("frozen", "session %s is frozen, and nothing was typed: %s", l.ID, frozen[reason])
	}
	return nil
}

// pastes types a text as a terminal pastes it.
func (c *client) pastes(ctx context.Context, l *live, text []byte) error {
	if l.Pipes {
		return c.sends(l, text)
	}
	modes, err := l.keyModes(ctx)
	if err != nil {
		return err
	}
	lines, byReturn := l.TakesLines()
	modes.Paste = modes.Paste && !lines // else the program before has left it on
	typed := vtseq.AppendPaste(nil, text, modes)
	if !byReturn {
		typed = bytes.ReplaceAll(typed, []byte("\r"), []byte("\n"))
	}
	return c.sends(l, typed)
}

// presses presses one key, when the program is ready to take it for one.
func (c *client) presses(ctx context.Context, l *live, key string, another bool) error {
	lines, byReturn := l.TakesLines()
	switch {
	case lines || l.Pipes:
	case another:
		l.awaitRead(ctx, time.Now(), betweenKeys)
	default:
		l.awaitReading(ctx)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	enter := key == "Enter"
	switch {
	case enter && (l.Pipes || lines && !byReturn):
		return c.sends(l, []byte("\n"))
	case l.Pipes:
		return refusal("no-terminal", "session %s has no terminal, and so no keys: send it bytes", l.ID)
	}
	modes, err := l.keyModes(ctx)
	if err != nil {
		return err
	}
	pressed, err := vtseq.AppendKey(nil, key, modes)
	if err != nil {
		return refusal("unknown-key", "%v", err)
	}
	if err := c.sends(l, pressed); err != nil {
		return err
	}
	l.mu.Lock()
	l.sent = burst{} // it was a key
	l.mu.Unlock()
	if !enter && !lines {
		pause := betweenKeys
		if string(pressed) == "\x1b" {
			pause = afterEscape
		}
		l.pause(ctx, pause)
	}
	return nil
}

// sends types bytes that somebody has sent who need not be in the session.
func (c *client) sends(l *live, typed []byte) error {
	if lines, _ := l.TakesLines(); lines && longestLine(typed) > session.MaxLine {
		return refusal("line-too-long", "the program of session %s reads lines of at most %d bytes, and one of these is longer: it was not typed; bring it as a file (aaau put)",
			l.ID, session.MaxLine)
	}
	from := int64(0)
	err := l.TypeAfter(nil, typed, c.stays, func() error {
		err := c.b.recordInput(l, c, typed)
		if err == nil {
			l.Note(session.LastTyped, time.Now())
			from = l.Bytes() - l.ErrorBytes()
		}
		return err
	})
	var refused *wire.ErrorNote
	switch {
	case errors.As(err, &refused):
		return err
	case err != nil:
		return refusal("no-session", "session %s takes no input any more", l.ID)
	}
	l.mu.Lock()
	l.sent = burst{at: time.Now(), from: from}
	l.mu.Unlock()
	return nil
}

// longestLine is how long the longest line is that a terminal would collect.
func longestLine(p []byte) (longest int) {
	const ends = "\r\n\x04"
	for len(p) > 0 {
		n := bytes.IndexAny(p, ends)
		if n < 0 {
			return max(longest, len(p))
		}
		longest, p = max(longest, n), p[n+1:]
	}
	return longest
}

// keyModes are the modes that decide what reaches the program of keys and pastes. Where
// its output cannot be looked through they are those of a plain terminal.
func (l *live) keyModes(ctx context.Context) (modes vtseq.KeyModes, err error) {
	err = l.drawn(ctx, func(d *drawing) { modes = d.screen.KeyModes() })
	var note *wire.ErrorNote
	if errors.As(err, &note) && note.Code == poisonous {
		err = nil
	}
	return modes, err
}

// poisonous is the code of the refusal to look at a screen that cannot be drawn.
const poisonous = "poisonous"

// awaitReading waits until the program has read the text that was sent before, as far as
// one can see, and no longer takes what comes for a part of it.
func (l *live) awaitReading(ctx context.Context) {
	l.mu.Lock()
	sent := l.sent
	l.mu.Unlock()
	if since := time.Since(sent.at); since <= reaction+afterText {
		l.awaitOutput(ctx, sent.from, reaction-since)
		l.pause(ctx, afterText)
	}
	// What it has printed may have nothing to do with the text.
	l.awaitRead(ctx, sent.at, afterText)
}

// awaitRead waits until the program has read all that was typed, at most for reading from
// a time on, and if that took a while, for some time more.
func (l *live) awaitRead(ctx context.Context, from time.Time, more time.Duration) {
	for late := from.Add(reading); l.Unread() > 0 && time.Now().Before(late); {
		if l.pause(ctx, readingEvery); l.Unread() == 0 {
			l.pause(ctx, more)
		}
		select {
		case <-ctx.Done():
			return
		case <-l.Ended():
			return
		default:
		}
	}
}

// awaitOutput waits until there is output after an offset, at most so long.
func (l *live) awaitOutput(ctx context.Context, from int64, most time.Duration) {
	cursor, err := l.Read(from, tape.Never)
	if err != nil {
		return // it has ended
	}
	defer cursor.Close()
	late := time.NewTimer(most)
	defer late.Stop()
	for !cursor.Behind() {
		select {
		case <-cursor.More():
		case <-late.C:
			return
		case <-l.Ended():
			return
		case <-ctx.Done():
			return
		}
	}
}

func (l *live) pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-l.Ended():
	case <-ctx.Done():
	}
}
