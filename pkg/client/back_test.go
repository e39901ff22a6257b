package client

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/AgentaaU/AaaU/pkg/wire"
)

// However lines are cut into pieces, each is one find.
func TestFinds(t *testing.T) {
	text := `{"timestamp":1.5,"text":"one"}` + "\n" + `{"text":"two\n"}` + "\n"
	for cut := range len(text) {
		var got []string
		f := finds{each: func(f wire.Found) error { got = append(got, f.Text); return nil }}
		for _, p := range []string{text[:cut], "", text[cut:]} {
			if n, err := f.Write([]byte(p)); n != len(p) || err != nil {
				t.Fatal(n, err)
			}
		}
		if !slices.Equal(got, []string{"one", "two\n"}) {
			t.Fatalf("cut at %d: %q", cut, got)
		}
	}
	if _, err := (&finds{}).Write([]byte("no JSON\n")); err == nil {
		t.Error("what is no JSON is taken")
	}
}

// answering is a Conn to a bridge which answers the first request with these frames.
func answering(t *testing.T, frames ...[]byte) *Conn {
	t.Helper()
	conn, bridge := pair(t)
	go func() {
		_, _ = bridge.Write(append(wire.Hello(), bytes.Join(frames, nil)...)) // the client may have gone
	}()
	return &Conn{conn: conn, in: wire.NewClientReader(conn)}
}

func TestExportPieces(t *testing.T) {
	var e wire.Encoder2
	answer := e.Answer(wire.Reply{Seq: 1, Incomplete: "some has expired"})
	var out bytes.Buffer
	c := answering(t, e.Piece(1, []byte("one ")), e.Piece(1, nil), e.News(wire.Event{}), e.Piece(1, []byte("two")), answer)
	if incomplete, err := c.Export(t.Context(), "s1", wire.FormatRaw, &out); err != nil || incomplete != "some has expired" || out.String() != "one two" {
		t.Errorf("%q, %q, %v", out.String(), incomplete, err)
	}
	full := errors.New("disk full")
	for name, b := range map[string]struct {
		frames [][]byte
		want   error
	}{
		"another's piece": {[][]byte{e.Piece(2, []byte("x")), answer}, wire.ErrProtocol},
		"no piece":        {[][]byte{wire.Frame(wire.Piece, []byte("abc")), answer}, wire.ErrProtocol},
		"too large":       {[][]byte{e.Piece(1, make([]byte, wire.MaxPiece+1)), answer}, wire.ErrProtocol},
		"too long":        {[][]byte{e.Piece(1, []byte("a full disk")), answer}, full},
		"cut off":         {[][]byte{e.Piece(1, []byte("x")), e.Refused(wire.ErrorNote{Seq: 1, Code: "failed", Message: "no disk"})}, nil},
	} {
		w := writer(func(p []byte) error {
			if len(p) > 9 {
				return full
			}
			return nil
		})
		_, err := answering(t, b.frames...).Export(t.Context(), "s1", wire.FormatRaw, w)
		var note *wire.ErrorNote
		if b.want != nil && !errors.Is(err, b.want) || b.want == nil && !errors.As(err, &note) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// Who asked for no pieces gets none.
	if _, err := answering(t, e.Piece(1, []byte("x")), answer).List(t.Context()); !errors.Is(err, wire.ErrProtocol) {
		t.Errorf("a list with a piece: %v", err)
	}
	old := answering(t)
	old.greeted = true
	if _, err := old.Export(t.Context(), "s1", wire.FormatRaw, &out); err == nil || fmt.Sprint(err) == "" {
		t.Error("a bridge that cannot is asked")
	}
}

type writer func([]byte) error

func (w writer) Write(p []byte) (int, error) { return len(p), w(p) }
