package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/AgentaaU/AaaU/pkg/client"
	"github.com/AgentaaU/AaaU/pkg/render"
	"github.com/AgentaaU/AaaU/pkg/wire"
)

// formatScreens is text too, and is made here like it, of the records that the bridge sends.
const formatScreens = "screens"

// exportFormats are those that people can ask for.
var exportFormats = []string{wire.FormatAsciicast, wire.FormatText, formatScreens, wire.FormatJSONL, wire.FormatRaw}

// knownFormat is the error for a format that there is not.
func knownFormat(format string) error {
	if slices.Contains(exportFormats, format) {
		return nil
	}
	return fmt.Errorf("there is no format %q: %s", format, strings.Join(exportFormats, ", "))
}

// exported writes what is recorded of a session in a format.
func exported(c *cli.Context, out io.Writer, id, format string) (incomplete string, err error) {
	if format == wire.FormatText || format == formatScreens {
		r := &rendering{screens: format == formatScreens, w: out}
		incomplete, err = exportedAs(c, r, id, wire.FormatJSONL)
		if !errors.Is(err, errNoTerminal) {
			return incomplete, errors.Join(err, r.close())
		}
		if format == formatScreens {
			return "", fmt.Errorf("session %s has no terminal, and so it has no screens: -f text has what it printed", id)
		}
	}
	return exportedAs(c, out, id, format)
}

func exportedAs(c *cli.Context, w io.Writer, id, format string) (string, error) {
	return backTo(c, w, format, func(ctx context.Context, conn *client.Conn, w io.Writer) (string, error) {
		return conn.Export(ctx, id, format, w)
	})
}

// errNoTerminal is returned for the records of a session with pipes: the bridge makes the
// text of what came out of them.
var errNoTerminal = errors.New("the session has no terminal")

// rendering draws what is recorded of a session, which is written to it in lines of JSON.
type rendering struct {
	screens bool // instead of text
	w       io.Writer
	line    []byte // that has not ended
	text    *render.Text
	shots   *render.Screens
	errs    bytes.Buffer // a line of the errors that has not ended, where they are apart
}

// recordLine is what matters here of a record.
type recordLine struct {
	Timestamp float64
	Kind      string `json:"command_type"`
	Content   string
	Metadata  struct {
		Stream, Encoding string
		Rows, Cols       int
		Bytes            int64
		Pipes            bool
	}
}

// maxRecord is longer than any record, in bytes.
const maxRecord = 2 << 20

func (r *rendering) Write(p []byte) (int, error) {
	n := len(p)
	for {
		part, rest, ends := bytes.Cut(p, []byte{'\n'})
		if len(r.line)+len(part) > maxRecord {
			return 0, fmt.Errorf("%w: a record of more than %d bytes", wire.ErrProtocol, maxRecord)
		}
		r.line = append(r.line, part...)
		if !ends {
			return n, nil
		}
		var l recordLine
		if err := json.Unmarshal(r.line, &l); err != nil {
			return 0, fmt.Errorf("%w: a record: %w", wire.ErrProtocol, err)
		}
		if err := r.record(l); err != nil {
			return 0, err
		}
		r.line, p = r.line[:0], rest
	}
}

// record takes one record.
func (r *rendering) record(l recordLine) error {
	at := time.UnixMicro(int64(l.Timestamp * 1e6))
	m := l.Metadata
	if l.Kind == "session_start" && m.Pipes {
		return errNoTerminal
	}
	if r.text == nil && r.shots == nil {
		r.begin(m.Rows, m.Cols)
	}
	switch l.Kind {
	case "resize":
		if r.screens {
			return r.shots.Resize(at, m.Rows, m.Cols)
		}
		return r.text.Resize(m.Rows, m.Cols)
	case "output":
		p := []byte(l.Content)
		if m.Encoding == "base64" {
			var err error
			if p, err = base64.StdEncoding.DecodeString(l.Content); err != nil {
				return fmt.Errorf("%w: what a record says was printed: %w", wire.ErrProtocol, err)
			}
		}
		return r.output(at, m.Stream, p)
	case "broken":
		if r.screens {
			return r.shots.Note("[" + harmless(l.Content) + "]")
		}
		return r.text.Note("[" + harmless(l.Content) + "]")
	case "hole":
		if m.Bytes == 0 && !r.screens {
			return r.text.Note("[some records are lost here]")
		}
		if !r.screens {
			return r.text.Note(fmt.Sprintf("[%d bytes of %s are not in the record]", m.Bytes, printable(m.Stream)))
		}
	}
	return nil
}

// begin begins with a size, where there is one; what is recorded of it may have expired.
func (r *rendering) begin(rows, cols int) {
	if rows == 0 || cols == 0 {
		rows, cols = 24, 80
	}
	if r.screens {
		r.shots = render.NewScreens(r.w, rows, cols)
	} else {
		r.text = render.NewText(r.w, rows, cols)
	}
}

// output takes what was printed. Errors that did not go to the terminal are no part of a
// screen; in a text they are lines.
func (r *rendering) output(at time.Time, stream string, p []byte) (err error) {
	switch {
	case stream != "output" && r.screens:
	case stream != "output":
		r.errs.Write(p)
		for err == nil {
			i := bytes.IndexByte(r.errs.Bytes(), '\n')
			if i < 0 && r.errs.Len() < maxRecord {
				break
			}
			if i < 0 {
				i = r.errs.Len() - 1
			}
			err = r.text.Note(harmless(strings.TrimRight(string(r.errs.Next(i+1)), "\r\n")))
		}
	case r.screens:
		err = r.shots.Output(at, p)
	default:
		_, err = r.text.Write(p)
	}
	return err
}

// close writes what there is at the end.
func (r *rendering) close() (err error) {
	switch {
	case r.shots != nil:
		return r.shots.Close()
	case r.text != nil:
		if r.errs.Len() > 0 {
			err = r.text.Note(harmless(r.errs.String()))
		}
		return errors.Join(err, r.text.Close())
	}
	return nil
}
