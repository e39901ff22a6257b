package vtseq

import "bytes"

// maxHeld is how much of an unfinished report is kept, in bytes.
const maxHeld = 4 << 10

// Input separates, in what a client's terminal sends, the reports that a terminal
// makes by itself (answers to queries, focus, size) from what a person typed. Its
// zero value is ready for a stream's beginning.
//
// A key must not wait: a lone ESC, or ESC with [, ], P, _ or / alone, at the end of a
// chunk is typed, and so is what completes it in the next. Longer beginnings of
// reports are held until the next chunk.
type Input struct {
	held  []byte // the beginning of what may be a report
	seen  int    // how much of it has been looked at
	paste int    // in a bracketed paste: 1 + how much of its end has come
}

const (
	pasteBegin = "\x1b[200~"
	pasteEnd   = "\x1b[201~"
)

// Split calls to with the pieces of the stream in order, and whether each is a
// report. It may keep some of p's end for the next call. A piece is to's only until
// it returns.
func (i *Input) Split(p []byte, to func(piece []byte, report bool)) {
	if len(i.held) > 0 {
		i.held = append(i.held, p...)
		p = i.held
	}
	done := 0 // with what was given away
	typed := func(end int) {
		if end > done {
			to(p[done:end], false)
			done = end
		}
	}
	at := 0
	for at < len(p) {
		if i.paste > 0 {
			at += i.inPaste(p[at:])
			continue
		}
		n := bytes.IndexByte(p[at:], esc)
		if n < 0 {
			break
		}
		at += n
		n, what := report(p[at:], i.seen)
		i.seen = 0
		switch what {
		case yes:
			typed(at)
			to(p[at:at+n], true)
			done = at + n
		case notYet:
			typed(at)
			i.seen = len(p) - at
			i.held = append(i.held[:0], p[at:]...)
			return
		default:
			if string(p[at:at+n]) == pasteBegin {
				i.paste = 1
			}
		}
		at += n
	}
	typed(len(p))
	i.held = i.held[:0]
}

// Held is how many bytes are kept for the next call.
func (i *Input) Held() int { return len(i.held) }

// Flush gives what is held to to: the terminal sends no more.
func (i *Input) Flush(to func(piece []byte, report bool)) {
	if len(i.held) > 0 {
		to(i.held, false)
	}
	*i = Input{}
}

// inPaste takes bytes up to the paste's end, and says how many.
func (i *Input) inPaste(p []byte) int {
	for n := 0; n < len(p); {
		matched := i.paste - 1
		if matched == 0 {
			k := bytes.IndexByte(p[n:], esc)
			if k < 0 {
				break
			}
			n += k
		}
		switch {
		case p[n] == pasteEnd[matched]:
			n++
			if i.paste++; matched+1 == len(pasteEnd) {
				i.paste = 0
				return n
			}
		default: // the byte may begin the end itself
			i.paste = 1
		}
	}
	return len(p)
}
