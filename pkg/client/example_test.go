package client_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"strings"

	"github.com/AgentaaU/AaaU/pkg/bridge/bridgetest"
	"github.com/AgentaaU/AaaU/pkg/client"
	"github.com/AgentaaU/AaaU/pkg/spec"
	"github.com/AgentaaU/AaaU/pkg/wire"
)

// serve starts a bridge to talk to. A program of yours says wire.DefaultSocket instead.
func serve() (socket string, stop func()) {
	s, err := bridgetest.New()
	if err != nil {
		log.Fatal(err)
	}
	return s.Socket, func() { s.Close() }
}

func program(argv ...string) spec.Session {
	return spec.Session{Argv: argv, Size: wire.Size{Rows: 24, Cols: 80}}
}

// Start a program as the agent, and bring what it says to one's own output.
func Example() {
	socket, stop := serve() // wire.DefaultSocket
	defer stop()
	session, err := client.Open(context.Background(), socket, wire.OpenRequest{
		Session: spec.Session{Argv: []string{"sh", "-c", "read name; echo hello $name; exit 3"}, Pipes: true},
	})
	if err != nil {
		log.Fatal(err) // one line, for a person
	}
	defer session.Close()
	fmt.Fprintln(session, "world")
	ended, err := session.Copy(client.Sink{Out: os.Stdout, Errors: os.Stderr})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("status", ended.Code)
	// Output:
	// hello world
	// status 3
}

// Watch a session of somebody's, from its first byte on. The bridge takes nothing from
// one who only watches.
func ExampleOpen_attach() {
	socket, stop := serve()
	defer stop()
	ctx := context.Background()
	theirs, err := client.Open(ctx, socket, wire.OpenRequest{Session: program("sh", "-c", "stty -echo -onlcr; echo ready; read x; echo $x"), Name: "work"})
	if err != nil {
		log.Fatal(err)
	}
	defer theirs.Close()

	watching, err := client.Open(ctx, socket, wire.OpenRequest{Attach: "work", ReadOnly: true})
	if err != nil {
		log.Fatal(err)
	}
	defer watching.Close()
	fmt.Println("in", watching.Name, "as", watching.Role)
	fmt.Fprintln(watching, "from a watcher")
	out := writerFunc(func(p []byte) {
		fmt.Print(string(p))
		if strings.Contains(string(p), "ready") {
			fmt.Fprintln(theirs, "from its owner")
		}
	})
	if _, err := watching.Copy(client.Sink{Out: out, Notice: func(string) {}}); err != nil {
		log.Fatal(err)
	}
	// Output:
	// in work as ReadOnly
	// ready
	// from its owner
}

// writerFunc is an io.Writer.
type writerFunc func([]byte)

func (f writerFunc) Write(p []byte) (int, error) { f(p); return len(p), nil }

// List the sessions that one may see.
func ExampleConn_List() {
	socket, stop := serve()
	defer stop()
	ctx := context.Background()
	conn, err := client.Dial(ctx, socket)
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	for _, name := range []string{"shop", "site"} {
		s, err := client.Open(ctx, socket, wire.OpenRequest{Session: program("cat"), Name: name, Detached: true})
		if err != nil {
			log.Fatal(err)
		}
		s.Close()
	}
	sessions, err := conn.List(ctx)
	if err != nil {
		log.Fatal(err)
	}
	for _, s := range sessions {
		fmt.Println(s.Name, s.Program, s.State)
	}
	// Output:
	// shop cat running
	// site cat running
}

// Hear of what happens in all sessions that one may see, and answer.
func ExampleConn_Events() {
	socket, stop := serve()
	defer stop()
	ctx := context.Background()
	conn, err := client.Dial(ctx, socket)
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	// It asks for attention until it has some: what happens before Events is not heard of.
	s, err := client.Open(ctx, socket, wire.OpenRequest{Session: program("bash", "-c", `until read -t 1 x; do printf '\033]9;look here\a'; done; exit 2`)})
	if err != nil {
		log.Fatal(err)
	}
	defer s.Close()
	asked := false
	done := errors.New("heard enough")
	err = conn.Events(ctx, func(e wire.Event) error {
		switch {
		case e.Kind == wire.EventAttention && !asked:
			asked = true
			fmt.Println("attention:", e.Message)
			fmt.Fprintln(s, "here I am")
		case e.Kind == wire.EventEnd:
			fmt.Println("the end:", e.Ended.Code)
			return done
		}
		return nil
	})
	if err != done {
		log.Fatal(err)
	}
	// Output:
	// attention: look here
	// the end: 2
}

// Type into a session without joining it, and look at what it shows.
func ExampleConn_Peek() {
	socket, stop := serve()
	defer stop()
	ctx := context.Background()
	s, err := client.Open(ctx, socket, wire.OpenRequest{Session: program("sh", "-c", "stty -echo; read x; clear; echo typed: $x; read x"), Name: "work", Detached: true})
	if err != nil {
		log.Fatal(err)
	}
	s.Close()
	conn, err := client.Dial(ctx, socket)
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	if err := conn.Send(ctx, "work", []byte("some words\r")); err != nil {
		log.Fatal(err)
	}
	for { // it shows when the program has read it
		screen, err := conn.Peek(ctx, "work")
		if err != nil {
			log.Fatal(err)
		}
		line, _, _ := strings.Cut(screen.Text, "\n")
		if strings.HasPrefix(line, "typed:") {
			fmt.Println(line)
			return
		}
	}
	// Output:
	// typed: some words
}
