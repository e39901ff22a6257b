package wire

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/AgentaaU/AaaU/pkg/spec"
)

// within is an Encoder1 whose client has had its first answer.
func within(req OpenRequest) *Encoder1 {
	e := NewEncoder1(req)
	e.Opened(OpenReply{ID: "abc"})
	return e
}

func TestEncoder1(t *testing.T) {
	join := OpenRequest{Attach: "abc"}
	program := OpenRequest{Session: spec.Session{Argv: []string{"/bin/x y", "-c"}}}
	for name, c := range map[string]struct {
		got  []byte
		want string
	}{
		"opened":               {NewEncoder1(join).Opened(OpenReply{ID: "6f1c", Name: "shop", Role: "admin"}), "SESSION:6f1c\n"},
		"denied":               {NewEncoder1(join).Error(ErrorNote{Code: "denied", Message: "you are not in group aaau"}), "Auth failed: you are not in group aaau\n"},
		"no session":           {NewEncoder1(join).Error(ErrorNote{Code: "no-session", Message: "there is none"}), "Session abc not found\n"},
		"program missing":      {NewEncoder1(program).Error(ErrorNote{Code: "program-not-found", Message: "x"}), "Program not found: /bin/x y\n"},
		"program no program":   {NewEncoder1(program).Error(ErrorNote{Code: "program-not-executable", Message: "x"}), "Program not executable: /bin/x y\n"},
		"profile's missing":    {NewEncoder1(OpenRequest{}).Error(ErrorNote{Code: "program-not-found", Message: "program not found: claude"}), "Program not found: claude\n"},
		"profile's no program": {NewEncoder1(OpenRequest{}).Error(ErrorNote{Code: "program-not-executable", Message: "program not executable: claude"}), "Program not executable: claude\n"},
		"another":              {NewEncoder1(program).Error(ErrorNote{Code: "too-many-sessions", Message: "there are 64 sessions"}), "there are 64 sessions\n"},
		"pong":                 {within(join).Pong([]byte("what it carried")), "\x01PONG"},
		"status":               {within(join).Answer(Reply{Seq: 1, Sessions: []SessionInfo{{ID: "6f1c", Clients: 3, State: StateRunning}}}), "\x01STATUS:{\"session_id\":\"6f1c\",\"clients\":3,\"agent_alive\":true}"},
		"status, frozen":       {within(join).Answer(Reply{Sessions: []SessionInfo{{ID: "6f1c", State: StateFrozen}}}), "\x01STATUS:{\"session_id\":\"6f1c\",\"clients\":0,\"agent_alive\":true}"},
		"status, ended":        {within(join).Answer(Reply{Sessions: []SessionInfo{{ID: "6f1c", State: StateEnded, Ended: &EndedNote{}}}}), "\x01STATUS:{\"session_id\":\"6f1c\",\"clients\":0,\"agent_alive\":false}"},
		"refused":              {within(join).Refused(ErrorNote{Seq: 1, Code: "denied", Message: "you may only see"}), "\x01ERROR:you may only see"},
		"error in a session":   {within(join).Error(ErrorNote{Code: CodeDismissed, Message: "taken out"}), "\x01ERROR:taken out"},
		"killed":               {within(join).Answer(Reply{Seq: 2}), ""},
		"a list":               {within(join).Answer(Reply{Sessions: make([]SessionInfo, 2)}), ""},
		"news":                 {within(join).News(Event{Kind: EventFreeze, Message: "frozen by bob"}), "\x01CONTROL:frozen by bob"},
		"news without words":   {within(join).News(Event{Kind: EventAttach}), ""},
		"a piece":              {within(join).Piece(7, []byte("of a record")), ""},
		"ended":                {within(join).Ended(EndedNote{Code: 1}), ""},
	} {
		if string(c.got) != c.want {
			t.Errorf("%s: %q, want %q", name, c.got, c.want)
		}
	}
	b := make([]byte, OutputHeadLen)
	for _, typ := range []Type{Output, Errors} {
		if head := within(join).OutputHead(b, typ, 7, 3); len(head) != 0 {
			t.Errorf("before output: %q", head)
		}
	}
	if !within(join).Apart() || (Encoder2{}).Apart() {
		t.Error("version 1 alone needs reads of their own")
	}
}

// TestEncoder1IsOneLine: whoever worded it, a message cannot end before its end,
// pass for another, or command a terminal.
func TestEncoder1IsOneLine(t *testing.T) {
	for _, evil := range []string{"a\nSESSION:b", "a\r\n", "\x01PONG", "\x1b]52;c;AA==\a", "\x00\x7f", "\u009b2J", "\xff\xfe\x9b", "\u2028\u202e", strings.Repeat("<&>", 9)} {
		req := OpenRequest{Attach: evil, Session: spec.Session{Argv: []string{evil}}}
		for name, e := range map[string]*Encoder1{"line": NewEncoder1(req), "plain line": NewEncoder1(OpenRequest{}), "message": within(req)} {
			for what, b := range map[string][]byte{
				"error":   e.Error(ErrorNote{Code: "failed", Message: evil}),
				"denied":  e.Error(ErrorNote{Code: "denied", Message: evil}),
				"session": e.Error(ErrorNote{Code: "no-session", Message: evil}),
				"program": e.Error(ErrorNote{Code: "program-not-found", Message: evil}),
				"file":    e.Error(ErrorNote{Code: "program-not-executable", Message: evil}),
				"refused": e.Refused(ErrorNote{Message: evil}),
				"news":    e.News(Event{Kind: EventAttention, Title: evil, Message: evil, User: evil, Name: evil}),
				"trouble": e.News(Event{Kind: EventTrouble, Message: evil}),
				"lost":    e.Lost(LostNote{From: 1, To: 2}),
				"status":  e.Answer(Reply{Sessions: []SessionInfo{{ID: evil}}}),
			} {
				got := string(b)
				if name != "message" {
					got = strings.TrimSuffix(got, "\n")
				}
				got = strings.TrimPrefix(got, "\x01")
				if !utf8.ValidString(got) || strings.IndexFunc(got, unicode.IsControl) >= 0 {
					t.Errorf("%s of %q in a %s: %q", what, evil, name, b)
				}
			}
		}
	}
}

func TestEncoder2(t *testing.T) {
	e := Encoder2{}
	output := func(typ Type) []byte { return append(e.OutputHead(make([]byte, OutputHeadLen), typ, 7, 3), "abc"...) }
	for _, c := range []struct {
		got  []byte
		want frame
	}{
		{e.Ended(EndedNote{Code: 3}), frame{Ended, `{"code":3}`}},
		{e.Ended(EndedNote{Code: CodeUnknown, Unknown: true}), frame{Ended, `{"code":255,"unknown":true}`}},
		{e.Ended(EndedNote{Signal: 9}), frame{Ended, `{"code":0,"signal":9}`}},
		{e.Error(ErrorNote{Code: "denied", Message: "a\n<b>"}), frame{Error, `{"code":"denied","message":"a\n<b>"}`}},
		{e.Refused(ErrorNote{Seq: 7, Code: "denied"}), frame{Refused, `{"seq":7,"code":"denied","message":""}`}},
		{e.Answer(Reply{Seq: 7}), frame{Answer, `{"seq":7}`}},
		{e.Pong([]byte("{}\x00")), frame{Pong, "{}\x00"}},
		{e.Pong(nil), frame{Pong, ""}},
		{e.Lost(LostNote{From: 1, To: 2}), frame{Lost, `{"from":1,"to":2}`}},
		{e.News(Event{Kind: EventStart}), frame{News, `{"time":0,"kind":"start","owner":0}`}},
		{output(Output), frame{Output, "\x00\x00\x00\x00\x00\x00\x00\x07abc"}},
		{output(Errors), frame{Errors, "\x00\x00\x00\x00\x00\x00\x00\x07abc"}},
	} {
		got, err := all(NewClientReader(bytes.NewReader(c.got)).Next)
		if err != io.EOF || len(got) != 1 || got[0] != c.want {
			t.Errorf("%q, want %q, %v", got, c.want, err)
		}
	}
	got, err := all(NewClientReader(bytes.NewReader(e.Opened(OpenReply{ID: "x"}))).Next)
	var opened OpenReply
	if err != io.EOF || len(got) != 1 || got[0].typ != Opened || Decode([]byte(got[0].payload), &opened) != nil || opened.ID != "x" {
		t.Errorf("%q, %v", got, err)
	}
}

// However long a text is that somebody else wrote, the frame with it is short.
func TestTextsAreBounded(t *testing.T) {
	long := strings.Repeat("ü", 50_000)
	note, event := ErrorNote{Code: "failed", Message: "x" + long}, Event{Kind: EventAttention, Title: long, Message: long, User: long}
	one, inside := within(OpenRequest{}), within(OpenRequest{})
	inside.Opened(OpenReply{ID: "x"})
	for name, frame := range map[string][]byte{
		"Error": Encoder2{}.Error(note), "Refused": Encoder2{}.Refused(note), "News": Encoder2{}.News(event),
		"Error of version 1": one.Error(note), "Error in a session of version 1": inside.Error(note),
		"Refused of version 1": inside.Refused(note), "News of version 1": inside.News(event),
	} {
		if len(frame) > 3*MaxMessage+1000 {
			t.Errorf("%s: %d bytes", name, len(frame))
		}
		if !utf8.Valid(frame[HeaderLen:]) || strings.Contains(string(frame), "\ufffd") {
			t.Errorf("%s: its text is cut within a character", name)
		}
	}
	if got := cut(strings.Repeat("a", MaxMessage)); len(got) != MaxMessage {
		t.Errorf("%d bytes are left of as many as there may be", len(got))
	}
}
