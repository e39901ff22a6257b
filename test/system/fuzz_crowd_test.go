package system

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/AgentaaU/AaaU/pkg/wire"
)

// decoder is a part of the bridge that strangers' input goes through, and what is sent
// to it.
type decoder struct {
	name string
	make func(r *rand.Rand, session string) []byte
}

var decoders = []decoder{
	{"first lines", func(r *rand.Rand, session string) []byte {
		return mutated(r, pick(r, firstLines(session)))
	}},
	{"frames of version 1", func(r *rand.Rand, session string) []byte {
		b := []byte("SESSION:" + session + "\n")
		for range r.IntN(6) {
			b = append(b, framed1(r, pick(r, messages1))...)
		}
		return b
	}},
	{"frames of version 2", func(r *rand.Rand, session string) []byte {
		b := wire.Hello()
		if r.IntN(2) == 0 {
			b = append(b, wire.Frame(wire.Open, wire.OpenRequest{Attach: session, ReadOnly: r.IntN(2) == 0})...)
		}
		for range 1 + r.IntN(6) {
			typ := wire.Type(r.Uint32())
			if r.IntN(3) > 0 {
				typ = pick(r, []wire.Type{wire.Open, wire.Input, wire.Resize, wire.EndInput, wire.Detach, wire.Ask, wire.Ping})
			}
			b = append(b, framed2(r, typ, mutated(r, pick(r, objects(session))))...)
		}
		return b
	}},
	{"requests", func(r *rand.Rand, session string) []byte {
		b := wire.Hello()
		for range 1 + r.IntN(4) {
			b = append(b, wire.Frame(wire.Ask, perhaps(r, pick(r, asks(session))))...)
		}
		return b
	}},
	{"opening", func(r *rand.Rand, session string) []byte {
		b := append(wire.Hello(), wire.Frame(wire.Open, perhaps(r, pick(r, opens(session))))...)
		return append(b, framed2(r, wire.Input, []byte("exit\r"))...)
	}},
	{"terminals and programs", func(r *rand.Rand, session string) []byte {
		b := append(wire.Hello(), wire.Frame(wire.Open, wire.OpenRequest{Attach: session})...)
		for range 1 + r.IntN(8) {
			text := []byte{}
			for range r.IntN(6) {
				text = append(text, pick(r, sequences)...)
			}
			b = append(b, wire.Frame(wire.Input, mutated(r, text))...)
			if r.IntN(4) == 0 {
				b = append(b, wire.Frame(wire.Ask, wire.Request{Do: wire.DoPeek})...)
				b = append(b, wire.Frame(wire.Resize, wire.Size{Rows: uint16(r.IntN(400)), Cols: uint16(r.IntN(400))})...)
			}
		}
		return b
	}},
}

func firstLines(session string) [][]byte {
	return [][]byte{
		[]byte("SESSION:" + session + "\n"), []byte("SESSION:nosuch\r\n"), []byte("NEW:24:80\n"), []byte("NEW:true:24:80\n"), []byte("NEW:sh:-c:exit 3:24:80\n"),
		[]byte(`NEW_JSON:{"program":"true","args":["a"],"rows":24,"cols":80}` + "\n"), []byte("NEW_JSON:" + strings.Repeat("[", 500) + "\n"), []byte("NEW\n"),
		[]byte("AaaU 2\n"), []byte("AaaU 2 ffffffffffffffff and more\n"), []byte("AaaU 3 1\n"), []byte("AaaU"), []byte("A\n"), {}, []byte("\n"),
		append(wire.Hello(), wire.Frame(wire.Ask, wire.Request{Seq: 1, Do: wire.DoList})...), []byte("GET / HTTP/1.1\r\n\r\n"), bytes.Repeat([]byte("x"), 70_000),
	}
}

var messages1 = [][]byte{
	[]byte("\x01PING"), []byte("\x01GET_STATUS"), []byte("\x01FORCE_KILL"), []byte("\x01RESIZE:33,101"), []byte("\x01RESIZE:0,0"), []byte("\x01RESIZE:99999,-1"),
	[]byte("\x01"), []byte("keys"), {}, bytes.Repeat([]byte("long "), 2000),
}

func opens(session string) [][]byte {
	return texts(
		`{"attach":"`+session+`","rows":24,"cols":80}`, `{"attach":"`+session+`","read_only":true,"resume":7}`, `{"attach":"`+session[:3]+`"}`,
		`{"argv":["true"],"rows":24,"cols":80}`, `{"argv":["sh","-c","exit 3"],"pipes":true,"piped":true}`, `{"argv":["cat"],"detached":true,"name":"work"}`,
		`{"profile":"shell","args":["-c","true"],"umask":18,"cwd":"/"}`, `{"profile":"claude","step":"install"}`, `{"profile":"../x","env":["A=b","LD_PRELOAD=x"]}`,
		`{"argv":[{"base64":"dHJ1ZQ=="}],"dirs":[{"read_only":true,"lock":[".git/config"],"alias":"/home/x"},{"tool":true}],"stubs":["/home/x"]}`,
	)
}

func asks(session string) (all [][]byte) {
	for _, do := range []string{"profile", "list", "status", "peek", "wait", "send", "put", "kill", "freeze", "thaw", "share", "unshare", "dismiss", "subscribe", "replay", "export", "changes", "search", "nosuch"} {
		all = append(all, []byte(fmt.Sprintf(
			`{"seq":1,"do":%q,"session":%q,"profile":"shell","after":"a","bytes":"aGVsbG8=","signal":28,"uid":12,"read_only":true,"client":3,"file":"a.txt","format":"text","query":{"text":"e","from":1,"kinds":["input","output"]}}`, do, session)),
			[]byte(fmt.Sprintf(`{"seq":2,"do":%q,"session":"nosuch"}`, do)), []byte(fmt.Sprintf(`{"seq":3,"do":%q}`, do)))
	}
	return all
}

func objects(session string) [][]byte {
	all := append(opens(session), asks(session)...)
	return append(all, texts(`{"rows":24,"cols":80}`, `{"rows":65536,"cols":-1}`, `{}`, `null`, `"x"`, `[[[[[[[[`, ``, "keys", "\x00\x01\x02", strings.Repeat("x", 65536))...)
}

func texts(all ...string) (b [][]byte) {
	for _, s := range all {
		b = append(b, []byte(s))
	}
	return b
}

// sequences are what terminals and programs send, both of which the session's program
// makes of what is typed.
var sequences = texts("\x1b[6n", "\x1b[1;20R", "\x1b[c", "\x1b[?62;1c", "\x1b]0;title\a", "\x1b]52;c;aGVsbG8=\x1b\\", "\x1b]52;c;?\a", "\x1b]9;notice\a", "\x1b]777;notify;a;b\x1b\\",
	"\x1b]99;i=1;text\x1b\\", "\x1bP$q m\x1b\\", "\x1bPtmux;\x1b\x1b]52;c;?\a\x1b\\", "\x1b_Ga=T;AAAA\x1b\\", "\x1b]11;?\a", "\x1b]11;rgb:0/0/0\x1b\\", "\x1b[200~", "\x1b[201~", "\x1b[I", "\x1b[O",
	"\x9b6n", "\x9d52;c;?\x9c", "\xc2\x9b6n", "\xc2\x9d52;c;?\xc2\x9c", "\x1b[999999999999;1H", "\x1b[2J", "\x1b[1;1r", "\x1b[?1049h", "\x1b[4:3m", "\x1b[38;2;1;2;3m", "\x1bc", "\x05", "\a", "\r\n",
	"日本語", "👩‍👩‍👧‍👦", "e\u0301\u0302\u0303", "\xe6\x97", "text", "\x1b[b", "\x1b[65535b", "\x1b[99999999L", "\x1b[99999999@", "\x1b#8", "\x18", "\x1a", "\t", "\x1bH", "\x1b[3g")

func pick[T any](r *rand.Rand, from []T) T { return from[r.IntN(len(from))] }

// perhaps leaves JSON as it is, or changes it so that it may be JSON still.
func perhaps(r *rand.Rand, text []byte) []byte {
	switch r.IntN(4) {
	case 0:
		return text
	case 1:
		return mutated(r, text)
	}
	var members map[string]json.RawMessage
	if json.Unmarshal(text, &members) != nil {
		return text
	}
	values := []string{`0`, `-1`, `1e99`, `99999999999999999999`, `null`, `true`, `""`, `"\u0000\ud800"`, `"` + strings.Repeat("x", 5000) + `"`, `[]`, `{}`, `[[]]`,
		`[{"base64":"////"}]`, `{"base64":"!"}`, `"../../x"`, `"*"`, `4294967296`, `0.5`, `"\n\u001b[2J"`, strings.Repeat("[", 900) + strings.Repeat("]", 900)}
	for name := range members {
		if r.IntN(3) == 0 && name != "do" {
			members[name] = json.RawMessage(pick(r, values))
		}
	}
	text, err := json.Marshal(members)
	if err != nil || len(text) > wire.MaxPayload {
		return nil
	}
	return text
}

// mutated is something like b.
func mutated(r *rand.Rand, b []byte) []byte {
	b = bytes.Clone(b)
	for range r.IntN(4) {
		at := r.IntN(len(b) + 1)
		rest := b[at:]
		switch r.IntN(7) {
		case 0: // bytes in between
			b = append(b[:at:at], append(pick(r, texts("\x00", "\xff", "\x01", "\n", "\x1b", "{", "\"", "\\", ":", "\x80", "AaaU 2\n", strings.Repeat("\xff", 40))), rest...)...)
		case 1: // fewer
			b = append(b[:at:at], rest[r.IntN(len(rest)+1):]...)
		case 2: // some twice
			b = append(b[:at:at], append(bytes.Clone(rest[:r.IntN(len(rest)+1)]), rest...)...)
		case 3: // another length
			if len(rest) >= 4 {
				binary.BigEndian.PutUint32(rest, pick(r, []uint32{0, 1, 64, 65, 0xffff, 0x10000, 0x10001, 1_000_000, 1_000_001, 1 << 31, 1<<32 - 1}))
			}
		case 4:
			if len(rest) > 0 {
				rest[0] ^= 1 << r.IntN(8)
			}
		case 5:
			if len(rest) > 0 {
				rest[0] = byte(r.Uint32())
			}
		case 6:
			if at > 0 && r.IntN(4) == 0 {
				b = b[:at]
			}
		}
	}
	return b[:min(len(b), 300_000)]
}

// framed1 is a payload in a frame of version 1, mostly as it is to be.
func framed1(r *rand.Rand, payload []byte) []byte {
	payload = mutated(r, payload)
	b := append(binary.BigEndian.AppendUint32(nil, uint32(len(payload))), payload...)
	if r.IntN(8) == 0 {
		return mutated(r, b)
	}
	return b
}

func framed2(r *rand.Rand, typ wire.Type, payload []byte) []byte {
	b := wire.Frame(typ, payload[:min(len(payload), wire.MaxReply)])
	if r.IntN(8) == 0 {
		return mutated(r, b)
	}
	return b
}

// crowd are strangers that feed a decoder.
type crowd struct {
	decoder
	session string
	end     time.Time
	patient time.Time // until when it begins what it may have to wait for
	people  sync.WaitGroup
	waiting chan struct{} // has room for those who do not say that they have said all

	mu sync.Mutex // guards what follows
	stranger
}

// feed sends one input after the other.
func (c *crowd) feed(r *rand.Rand) {
	for n := 0; time.Now().Before(c.end); n++ {
		input := c.make(r, c.session)
		cut := r.IntN(len(input) + 1)
		var files []int
		if r.IntN(10) == 0 {
			for range 1 + r.IntN(140) {
				files = append(files, 0)
			}
		}
		shut := r.IntN(20) > 0 || time.Now().After(c.patient) || silent(input)
		if !shut {
			select {
			case c.waiting <- struct{}{}:
				c.people.Go(func() {
					defer func() { <-c.waiting }()
					c.note(input, send(input, cut, files, false))
				})
				continue
			default: // there are enough of these
			}
		}
		c.note(input, send(input, cut, files, true))
	}
}

// answer is what became of an input.
type answer struct {
	words int // bytes
	err   error
}

// send sends an input in two parts, with descriptors beside the second, and perhaps
// says that it was all. It waits for an answer, or the end.
func send(input []byte, cut int, files []int, shut bool) (a answer) {
	conn, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: serverSocket, Net: "unix"})
	if err != nil {
		return answer{0, err}
	}
	defer conn.Close()
	sent := make(chan struct{})
	defer func() { conn.Close(); <-sent }()
	go func() { // it may be refused in the middle
		defer close(sent)
		_, _ = conn.Write(input[:cut])
		var oob []byte
		if len(files) > 0 && cut < len(input) {
			oob = unix.UnixRights(files...)
		}
		n, _, err := conn.WriteMsgUnix(input[cut:], oob, nil)
		if err == nil {
			_, _ = conn.Write(input[cut+n:])
		}
		if shut {
			_ = conn.CloseWrite()
		}
	}()
	buf := make([]byte, 64<<10)
	wait := handshakeTime + busy
	for {
		_ = conn.SetReadDeadline(time.Now().Add(wait))
		n, err := conn.Read(buf)
		a.words += n
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded) && a.words == 0:
			a.err = errors.New("neither answered nor closed")
			return a
		case err != nil: // closed, or answered and that is all
			return a
		case !shut:
			return a // it is answered, and goes
		}
		wait = 20 * time.Millisecond
	}
}

// silent says whether an input may begin with what is answered late or never: the wait
// for a session's end, or a frame that a bridge which does not know it skips.
func silent(input []byte) bool {
	in := wire.NewReader(bytes.NewReader(input))
	if _, err := in.Hello(); err != nil {
		return false
	}
	typ, _, err := in.Next()
	return bytes.Contains(input, []byte(wire.DoWait)) || err == nil && typ&wire.Optional != 0
}

func (c *crowd) note(input []byte, a answer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.Sent++
	if a.words > 0 {
		c.Answered++
	}
	if a.err != nil && len(c.Wrong) < 10 {
		c.Wrong = append(c.Wrong, fmt.Sprintf("%v: %.3000q", a.err, input))
	}
}
