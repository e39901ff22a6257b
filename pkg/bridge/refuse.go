package bridge

import (
	"context"
	"errors"
	"net"
	"os"
	"sync"
	"time"

	"github.com/AgentaaU/AaaU/pkg/wire"
)

// Refuse is for who cannot serve: until ctx ends it tells everybody who connects why. The
// listeners stay open, and the caller's.
func Refuse(ctx context.Context, why error, listeners ...*net.UnixListener) {
	note := wire.ErrorNote{Code: wire.CodeNotStarted, Message: shown("the bridge does not start: "+why.Error(), maxMessage) +
		" (when that is put right it starts by itself; see journalctl -u aaau)"}
	answer := append(wire.Hello(), wire.Encoder2{}.Error(note)...)
	var refusing sync.WaitGroup
	for _, ln := range listeners {
		stop := context.AfterFunc(ctx, func() { ln.SetDeadline(time.Unix(1, 0)) })
		defer stop()
		refusing.Go(func() { refuse(ln, answer) })
	}
	refusing.Wait()
}

// refuse answers until the listener's deadline.
func refuse(ln *net.UnixListener, answer []byte) {
	defer ln.SetDeadline(time.Time{})
	for {
		conn, err := ln.AcceptUnix()
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, net.ErrClosed):
			return
		case err != nil: // there are no descriptors, say
			time.Sleep(100 * time.Millisecond)
			continue
		}
		// Into an empty socket buffer: this waits for nobody.
		conn.Write(answer)
		conn.Close()
	}
}
