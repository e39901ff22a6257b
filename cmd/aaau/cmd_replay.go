package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/AgentaaU/AaaU/pkg/client"
	"github.com/AgentaaU/AaaU/pkg/wire"
)

func replayCommand() *cli.Command {
	return &cli.Command{Name: "replay", Usage: "show again what a session has shown", ArgsUsage: "ID",
		Flags: []cli.Flag{
			&cli.Float64Flag{Name: "speed", Value: 1, Usage: "`N` times as fast; keys + and - change it"},
			&cli.Float64Flag{Name: "idle-limit", Usage: "where nothing happened, wait `SECS` at most"},
		},
		Action: func(c *cli.Context) error {
			if c.NArg() != 1 {
				return errOneSession(c)
			}
			p := player{speed: c.Float64("speed"), idle: time.Duration(c.Float64("idle-limit") * 1e9)}
			if !(p.speed >= slowest && p.speed <= fastest) {
				return fmt.Errorf("--speed %v: give a number from %v to %v", p.speed, slowest, fastest)
			}
			if p.idle < 0 || c.IsSet("idle-limit") && p.idle == 0 {
				return fmt.Errorf("--idle-limit %v: give a number of seconds", c.Float64("idle-limit"))
			}
			return newTerminal(os.Stdin).replay(c, &p)
		}}
}

// cast is an asciicast that is being read.
type cast struct {
	header struct {
		Version, Width, Height int
		Duration               float64 // seconds; 0: not known
		Title                  string
	}
	events     chan castEvent // closed at the end
	sizes      castSizes
	incomplete string // from then on, as err
	err        error
}

// castEvent is some output, at its time since the beginning.
type castEvent struct {
	at   time.Duration
	data string
}

// castSizes are the sizes that a recording's terminal has from some events on, counted from 0.
type castSizes struct {
	mu sync.Mutex // guards at
	at map[int]wire.Size
}

func (c *castSizes) put(event int, size wire.Size) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.at == nil {
		c.at = map[int]wire.Size{}
	}
	c.at[event] = size
}

// take is the size from an event on; zero: it is as before.
func (c *castSizes) take(event int) wire.Size {
	c.mu.Lock()
	defer c.mu.Unlock()
	size := c.at[event]
	delete(c.at, event)
	return size
}

// maxCastLine is longer than any line of an asciicast, in bytes.
const maxCastLine = 1 << 20

// openCast asks for a recording and reads its header. It is read no faster than its
// events are taken, until ctx ends.
func openCast(ctx context.Context, c *cli.Context) (*cast, error) {
	r, w := io.Pipe()
	k := &cast{events: make(chan castEvent)}
	told := make(chan struct{})
	go func() {
		defer close(told)
		k.incomplete, k.err = backTo(c, w, wire.FormatAsciicast, func(ctx context.Context, conn *client.Conn, w io.Writer) (string, error) {
			return conn.Replay(ctx, c.Args().First(), w)
		})
		w.Close()
	}()
	in := bufio.NewScanner(r)
	in.Buffer(nil, maxCastLine)
	if !in.Scan() {
		r.Close()
		<-told
		return nil, errors.Join(k.err, in.Err())
	}
	if err := json.Unmarshal(in.Bytes(), &k.header); err != nil || k.header.Version != 2 {
		r.Close()
		<-told
		return nil, fmt.Errorf("%w: no asciicast", wire.ErrProtocol)
	}
	go func() {
		defer close(k.events)
		err := k.read(ctx, in)
		r.Close()
		<-told
		if err != nil {
			k.err = err
		}
	}()
	return k, nil
}

func (k *cast) read(ctx context.Context, in *bufio.Scanner) error {
	count := 0
	for in.Scan() {
		var at float64
		var kind string
		var e castEvent
		if err := json.Unmarshal(in.Bytes(), &[]any{&at, &kind, &e.data}); err != nil {
			return fmt.Errorf("%w: an event of an asciicast: %w", wire.ErrProtocol, err)
		}
		if kind == "r" {
			var size wire.Size
			if n, err := fmt.Sscanf(e.data, "%dx%d", &size.Cols, &size.Rows); n != 2 || err != nil {
				return fmt.Errorf("%w: %.20q is no size", wire.ErrProtocol, e.data)
			}
			k.sizes.put(count, size)
		}
		if kind != "o" {
			continue
		}
		e.at = time.Duration(at * 1e9)
		count++
		select {
		case k.events <- e:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return in.Err()
}

// replay shows a recording on the standard output.
func (t *terminal) replay(c *cli.Context, p *player) error {
	signals := make(chan os.Signal, 8)
	notify(signals, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT)
	defer signal.Stop(signals)
	signal.Ignore(syscall.SIGPIPE)
	ctx, cancel := context.WithCancel(c.Context)
	defer cancel()
	c.Context = ctx
	k, err := openCast(ctx, c)
	if err != nil {
		return err
	}
	p.total = time.Duration(k.header.Duration * 1e9)
	if p.name = k.header.Title; p.name == "" {
		p.name = c.Args().First()
	}
	p.signals, p.screen = signals, isTTY(os.Stdout)
	small := p.tooSmall(k)
	if small && isTTY(os.Stderr) {
		now := size()
		say(fmt.Sprintf("the recording has %d rows and %d columns, and this terminal %d and %d: what does not fit is not shown", k.header.Height, k.header.Width, now.Rows, now.Cols))
	}
	if p.screen && t.isTTY() {
		if err := t.raw(); err != nil {
			return fmt.Errorf("making the terminal raw: %w", err)
		}
		defer t.restore()
		notify(signals, syscall.SIGTSTP, syscall.SIGCONT)
		if err := t.startReading(); err != nil {
			return err
		}
		defer t.stopReading()
		p.t = t
	}
	err = p.play(k, small)
	p.leave()
	switch {
	case errors.Is(err, errQuit):
		return nil
	case errors.Is(err, syscall.EPIPE):
		return sentAway(syscall.SIGPIPE).status()
	}
	var sig sentAway
	if errors.As(err, &sig) {
		return sig.status()
	}
	if err != nil {
		return err
	}
	return whole(k.incomplete, nil)
}

// tooSmall says whether a recording does not fit into the terminal.
func (p *player) tooSmall(k *cast) bool {
	now := size()
	return p.screen && (k.header.Height > int(now.Rows) || k.header.Width > int(now.Cols))
}

// progress is how far a recording is shown, in a line.
func (p *player) progress() string {
	parts := []string{clock(p.now())}
	if p.total > 0 {
		parts[0] += "/" + clock(max(p.total, p.now()))
	}
	if p.speed != 1 {
		parts = append(parts, fmt.Sprintf("×%.3g", p.speed))
	}
	if p.paused {
		parts = append(parts, "paused")
	}
	return strings.Join(append(parts, harmless(p.name)), " ")
}

// clock is a time as players show it: 1:02, 1:00:02.
func clock(d time.Duration) string {
	s := int(d / time.Second)
	if s < 3600 {
		return fmt.Sprintf("%d:%02d", s/60, s%60)
	}
	return fmt.Sprintf("%d:%02d:%02d", s/3600, s/60%60, s%60)
}
