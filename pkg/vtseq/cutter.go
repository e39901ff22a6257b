package vtseq

// Cut is a set of what a client is not to get.
type Cut uint8

const (
	Clipboard      Cut = 1 << iota // OSC 52 and its like that set the clipboard
	ClipboardReads                 // those that ask for it
	Queries                        // whatever a terminal would answer
	Windows                        // what moves, sizes or raises the terminal's window
	Harm                           // what reaches beyond the terminal: see harm.go
)

// All is everything that can be cut.
const All = Clipboard | ClipboardReads | Queries | Windows | Harm

// sequences are the kinds of which more than the beginning has to be known.
const sequences = Queries | Windows | Harm

// What begins something, and what may end a string.
var (
	introducers       = newNeedles("\x1b\xc2")
	introducersAndENQ = newNeedles("\x1b\xc2\x05")
	stringEnds        = newNeedles("\x1b\a\x18\x1a\xc2")
	controls          = newNeedles("\x1b\a\x05\xc2") // outside of strings
	escOrBEL          = newNeedles("\x1b\a")
)

// Cutter leaves sequences out of the stream to one client, without copying it. Its
// zero value is ready for a stream's beginning.
//
// It keeps no account of strings: an introducer counts wherever it is, since ESC
// ends any string in most terminals, and since tmux and screen pass on what is
// inside of theirs. What may yet become a sequence to be cut is not sent, so the
// terminal is never in the midst of one when something is left out: else what
// follows could complete it. For the same reason, what another sequence interrupts
// before its meaning is clear is left out.
type Cutter struct {
	inside bool // of a string that is left out
}

// Next looks at p, the stream from where the last call's send and skip ended. The
// first send bytes may go to the client, the skip bytes after them are not to. When
// both are 0 there must be more of the stream to go on.
func (c *Cutter) Next(p []byte, cut Cut) (send, skip int) {
	if c.inside {
		if skip = c.rest(p); skip > 0 || c.inside {
			return 0, skip
		}
	}
	if cut == 0 {
		return len(p), 0
	}
	f := finder{p: p, needles: introducers}
	if cut&(Queries|Harm) != 0 {
		f.needles = introducersAndENQ
	}
	for {
		send = f.next(send)
		if send == len(p) {
			return send, 0
		}
		if n := harmless(p[send:], cut); n > 0 { // as nearly all are
			send += n
			continue
		}
		n, v := judge(p[send:], cut)
		switch v {
		case pass:
			send += n
		case unclear:
			return send, 0
		case leave:
			return send, n
		case leaveString:
			c.inside = true
			return send, n + c.rest(p[send+n:])
		}
	}
}

// harmless is the length of what need not be judged at the beginning of p, an ESC or C2:
// a CSI sequence with a final byte that none to be cut has, or another sequence's
// beginning.
func harmless(p []byte, cut Cut) int {
	switch {
	case p[0] != esc || len(p) < 2 || p[1] <= ' ' || p[1] >= del:
		return 0
	case p[1] == '[':
		if cut&sequences == 0 {
			return 2
		}
		return harmlessCSI(p, cut)
	case p[1] == ']' || p[1] == 'Z':
		return 0
	case p[1] == 'P' || p[1] == '_':
		if cut&sequences == 0 {
			return 2
		}
		return 0
	}
	return 2
}

// harmlessCSI is harmless for a CSI sequence, which has to be whole.
func harmlessCSI(p []byte, cut Cut) int {
	n, simple := csi7(p)
	if n == 0 {
		return 0
	}
	final := p[n-1]
	if acts(final) || cut&Queries != 0 && mayAskCSI(simple, final) {
		return 0
	}
	return n
}

// Flush says how much of p, which Next has held at the stream's end, is to be sent.
func (c *Cutter) Flush(p []byte) (send int) {
	if c.inside {
		return 0
	}
	return len(p)
}

// rest is the length of what is left of the string. An ESC that ends it stays: if
// it is ST's, a terminal ignores that, and if it ends a string around this one too
// (as in tmux's), it must.
func (c *Cutter) rest(p []byte) int {
	end, after := stringEnd(p, 0)
	if after == 0 {
		return end
	}
	c.inside = false
	if p[end] == esc {
		return end
	}
	return after
}

// stringEnd finds what ends the string that p is in at from: where it is and the
// index after it, or 0 for that when it has not come. Then only half of ST may be
// beyond end.
func stringEnd(p []byte, from int) (end, after int) {
	f := finder{p: p, needles: stringEnds}
	for end = f.next(from); end < len(p); end = f.next(end + 1) {
		switch {
		case p[end] != c1:
			return end, end + 1
		case end+1 == len(p):
			return end, 0
		case p[end+1] == st:
			return end, end + 2
		}
	}
	return end, 0
}
