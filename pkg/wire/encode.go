package wire

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"strings"
	"unicode"
)

// An Encoder puts what the bridge says into the words of a client's version. What
// a version has no words for is nothing.
type Encoder interface {
	Opened(OpenReply) []byte
	// OutputHead is what stands before n bytes of output at offset, in b or another
	// array; it is at most OutputHeadLen bytes.
	OutputHead(b []byte, t Type, offset int64, n int) []byte
	Ended(EndedNote) []byte
	Error(ErrorNote) []byte // the last
	Refused(ErrorNote) []byte
	Answer(Reply) []byte
	Pong([]byte) []byte
	News(Event) []byte
	Lost(LostNote) []byte
	// Redraw is what makes a terminal show the session's screen, or a part of that: see
	// the frame.
	Redraw(next int64, part []byte) []byte
	// Overlay is what shows words on the client's terminal, and what takes them away.
	Overlay(show, restore []byte) []byte
	// Piece is a part of what a request is answered with.
	Piece(seq uint32, part []byte) []byte
	// Apart says whether what is no output must reach the client by itself, in a
	// read of its own.
	Apart() bool
}

// Encoder2 speaks version 2.
type Encoder2 struct{}

func (Encoder2) Opened(r OpenReply) []byte  { return Frame(Opened, r) }
func (Encoder2) Ended(n EndedNote) []byte   { return Frame(Ended, n) }
func (Encoder2) Error(n ErrorNote) []byte   { return Frame(Error, n.bounded()) }
func (Encoder2) Refused(n ErrorNote) []byte { return Frame(Refused, n.bounded()) }
func (Encoder2) Answer(r Reply) []byte      { return Frame(Answer, r) }
func (Encoder2) Pong(p []byte) []byte       { return Frame(Pong, p) }
func (Encoder2) News(v Event) []byte        { return Frame(News, v.bounded()) }
func (Encoder2) Lost(n LostNote) []byte     { return Frame(Lost, n) }
func (Encoder2) Apart() bool                { return false }

func (Encoder2) OutputHead(b []byte, t Type, offset int64, n int) []byte {
	OutputHead(b, t, offset, n)
	return b[:OutputHeadLen]
}

func (e Encoder2) Redraw(next int64, part []byte) []byte {
	return append(e.OutputHead(make([]byte, OutputHeadLen, OutputHeadLen+len(part)), Redraw, next, len(part)), part...)
}

func (Encoder2) Overlay(show, restore []byte) []byte {
	b := make([]byte, HeaderLen, HeaderLen+4+len(show)+len(restore))
	Head(b, Overlay, 4+len(show)+len(restore))
	b = binary.BigEndian.AppendUint32(b, uint32(len(show)))
	return append(append(b, show...), restore...)
}

func (Encoder2) Piece(seq uint32, part []byte) []byte {
	b := make([]byte, HeaderLen, HeaderLen+4+len(part))
	Head(b, Piece, 4+len(part))
	return append(binary.BigEndian.AppendUint32(b, seq), part...)
}

// Encoder1 speaks version 1.
type Encoder1 struct {
	attach, program string // what it asked for, which its errors name
	opened          bool
}

// NewEncoder1 answers a client that began with this.
func NewEncoder1(req OpenRequest) *Encoder1 {
	e := &Encoder1{attach: req.Attach}
	if len(req.Argv) > 0 {
		e.program = req.Argv[0]
	}
	return e
}

func (e *Encoder1) Opened(r OpenReply) []byte {
	e.opened = true
	return fmt.Appendf(nil, "SESSION:%s\n", r.ID)
}

// Error is one line, as the first bridge worded it where it had words; within a
// session it is a message.
func (e *Encoder1) Error(n ErrorNote) []byte {
	n = n.bounded()
	if e.opened {
		return message1("ERROR:", n.Message)
	}
	text := oneLine(n.Message)
	switch n.Code {
	case "denied":
		text = "Auth failed: " + text
	case "no-session":
		if e.attach != "" {
			text = fmt.Sprintf("Session %s not found", oneLine(e.attach))
		}
	case "program-not-found":
		text = e.about("Program not found: ", text)
	case "program-not-executable":
		text = e.about("Program not executable: ", text)
	}
	return []byte(text + "\n")
}

// about names the program, of which only a text tells if the client did not.
func (e *Encoder1) about(what, text string) string {
	if e.program != "" {
		return what + oneLine(e.program)
	}
	return what + strings.TrimPrefix(text, strings.ToLower(what))
}

func (e *Encoder1) Ended(EndedNote) []byte                     { return nil }
func (e *Encoder1) OutputHead([]byte, Type, int64, int) []byte { return nil }
func (e *Encoder1) Refused(n ErrorNote) []byte                 { return message1("ERROR:", n.bounded().Message) }
func (e *Encoder1) Pong([]byte) []byte                         { return message1("PONG", "") }
func (e *Encoder1) Redraw(int64, []byte) []byte                { return nil }
func (e *Encoder1) Piece(uint32, []byte) []byte                { return nil }
func (e *Encoder1) Overlay(_, _ []byte) []byte                 { return nil }
func (e *Encoder1) Apart() bool                                { return true }
func (e *Encoder1) Lost(n LostNote) []byte {
	return message1("CONTROL:", fmt.Sprintf("%d bytes of output were lost: this client was too slow", n.To-n.From))
}

// Answer knows one request, for the status; of the other, to kill, the end tells.
func (e *Encoder1) Answer(r Reply) []byte {
	if len(r.Sessions) != 1 {
		return nil
	}
	s := r.Sessions[0]
	text, err := json.Marshal(struct {
		ID      string `json:"session_id"`
		Clients int    `json:"clients"`
		Alive   bool   `json:"agent_alive"`
	}{s.ID, s.Clients, s.State != StateEnded})
	if err != nil {
		panic("wire: " + err.Error())
	}
	return message1("STATUS:", string(text))
}

func (e *Encoder1) News(v Event) []byte {
	if v.Message == "" {
		return nil
	}
	return message1("CONTROL:", v.bounded().Message)
}

func message1(kind, text string) []byte { return []byte("\x01" + kind + oneLine(text)) }

// oneLine is text that ends no line and moves no cursor.
func oneLine(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '?'
	}, text)
}
