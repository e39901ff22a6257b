package main

import (
	"context"
	"flag"
	"io"
	"net"
	"path/filepath"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"

	"github.com/AgentaaU/AaaU/pkg/client"
	"github.com/AgentaaU/AaaU/pkg/wire"
)

// Who looks back is not stopped by having paused, nor by a bridge's death: it goes on
// where it had come to.
func TestLookingBackGoesOn(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "socket")
	ln, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	enc, served := wire.Encoder2{}, make(chan struct{})
	defer func() { ln.Close(); <-served }()
	go func() {
		defer close(served)
		for n, answers := range [][][]byte{
			{enc.Piece(1, []byte("one "))}, // and dies
			{enc.Piece(1, []byte("one two ")), enc.Refused(wire.ErrorNote{Seq: 1, Code: wire.CodeGaveWay, Message: "paused"})},
			{enc.Piece(1, []byte("one two three")), enc.Answer(wire.Reply{Seq: 1})},
		} {
			c, err := ln.Accept()
			if err != nil {
				t.Errorf("for the connection %d: %v", n, err)
				return
			}
			c.Read(make([]byte, 4096)) // what is asked; it comes at once
			c.Write(wire.Hello())
			for _, a := range answers {
				c.Write(a)
			}
			c.Close()
		}
	}()
	flags := flag.NewFlagSet("", flag.ContinueOnError)
	flags.String("socket", socket, "")
	c := cli.NewContext(nil, flags, nil)
	c.Context = t.Context()
	var out strings.Builder
	incomplete, err := backTo(c, &out, wire.FormatRaw, func(ctx context.Context, conn *client.Conn, w io.Writer) (string, error) {
		return conn.Export(ctx, "x", wire.FormatRaw, w)
	})
	if out.String() != "one two three" || incomplete != "" || err != nil {
		t.Errorf("%q, %q, %v", out.String(), incomplete, err)
	}
}
