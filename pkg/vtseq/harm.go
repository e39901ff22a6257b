package vtseq

import "bytes"

// Some sequences reach beyond the terminal that they are printed on: they name files of
// the machine where the terminal runs, ask for files of it, print, run programs there, or
// have the terminal type what a program has set before. A program in a session runs on
// another machine or as another user, and has no honest use for them. They are Harm:
//
//   - ENQ, which has a terminal type its answerback, of any text; the title reports
//     CSI 20 t and CSI 21 t, which have it type what a program set as the title
//   - S8C1T (ESC SP G), after which answers have another form
//   - media copy: CSI i with any parameters
//   - kitty's file transfers (OSC 5113) and remote control (DCS @kitty-), and its graphics
//     whose data is in a file or in shared memory (t=f, t=t, t=s)
//   - iTerm2's downloads, uploads and addresses to open (OSC 1337); a picture to be shown
//     (File=…inline=1…) is none of these
//   - the file of xterm's log (OSC 46), of rxvt's background (OSC 20), mlterm's settings and
//     transfers (OSC 5379, 5380)
//   - ConEmu's macros and processes (OSC 9;6 and 9;7)

// acts says whether a CSI sequence with this final byte may be one of Windows or Harm.
func acts(final byte) bool { return final == 'i' || final == 't' || final == '|' }

// cutsCSI says whether a CSI sequence is to be cut.
func cutsCSI(params []byte, final byte, cut Cut) bool {
	if cut&Queries != 0 {
		if q, _ := csiQuery(params, final); q != NoQuery {
			return true
		}
	}
	switch final {
	case 'i':
		return cut&Harm != 0
	case '|': // lines and columns of the page: DECSNLS, DECSCPP
		return cut&Windows != 0 && (bytes.HasSuffix(params, []byte("*")) || bytes.HasSuffix(params, []byte("$")))
	case 't':
		if hasIntermediate(params) || len(params) > 0 && params[0] > ';' {
			return false
		}
		n, _ := number(params)
		title := n == 20 || n == 21
		saves := n == 22 || n == 23 // titles, onto a stack and back
		return cut&Harm != 0 && title || cut&Windows != 0 && !saves
	}
	return false
}

// namesFiles says whether an OSC string of this number has the terminal read or write a file.
func namesFiles(number int) bool {
	return number == 20 || number == 46 || number == 5379 || number == 5380
}

// kittys says whether a DCS string with this beginning is kitty's own, and whether it may
// be one with more of it.
func kittys(s []byte) (own, mayBe bool) {
	const begin = "@kitty-"
	n := min(len(s), len(begin))
	is := string(s[:n]) == begin[:n]
	return is && n == len(begin), is && n < len(begin)
}

// namesFile says whether kitty's graphics command has its data in a file or in shared
// memory. Of a key that is there more than once, each value counts.
func namesFile(control []byte) bool {
	for pair := range bytes.SplitSeq(control, []byte(",")) {
		key, value, _ := bytes.Cut(bytes.TrimLeft(pair, "G "), []byte("="))
		if string(bytes.TrimSpace(key)) == "t" && string(bytes.TrimSpace(value)) != "d" {
			return true
		}
	}
	return false
}

// judgeConEmu looks for 6; and 7; at the beginning of an OSC 9 string's data.
func judgeConEmu(s *reader, at int) (int, verdict) {
	for i := range 2 {
		switch b := s.next(); {
		case b == none:
			return 0, unclear
		case b == esc || b == c1:
			return endsEarly(s, at)
		case i == 0 && b != '6' && b != '7', i == 1 && b != ';':
			return at, pass
		}
	}
	return s.at, leaveString
}

// maxITerm is more than the longest name of an OSC 1337 command that is cut, in bytes.
const maxITerm = 24

// judgeITerm judges an OSC 1337 string, whose data begins at from, by its command's name,
// and by its arguments where they matter.
func judgeITerm(p []byte, at, from int, cut Cut) (int, verdict) {
	var body [maxHeldQuery]byte
	s := reader{p: p, at: from}
	k := 0
	for {
		b := s.next()
		if b == none {
			if len(p) < maxHeldQuery {
				return 0, unclear
			}
			return s.at, leaveString // arguments that long are not looked through
		}
		ends := b == bel || b == esc || b == c1 || b == can || b == sub
		if !ends && b != ':' {
			body[k] = byte(b)
			k++
		}
		name, args, found := bytes.Cut(body[:k], []byte("="))
		if !ends && b != ':' && !found && k < maxITerm {
			continue
		}
		switch cutsITerm(name, args, found, cut) {
		case leaveString:
			return s.last, leaveString
		case unclear:
			if !ends && b != ':' {
				continue
			}
			if !isInline(args) {
				return s.last, leaveString
			}
		}
		if b == esc || b == c1 {
			return endsEarly(&s, at)
		}
		return at, pass
	}
}

// endsEarly judges a string that is nothing to be cut, and that ESC or C2 ends before its
// meaning is clear.
func endsEarly(s *reader, at int) (int, verdict) {
	n, v := s.ends()
	if v == pass {
		return at, pass
	}
	return n, v
}

// cutsITerm judges an OSC 1337 command; unclear: its arguments say.
func cutsITerm(name, args []byte, hasArgs bool, cut Cut) verdict {
	begins := func(with string) bool {
		return len(name) >= len(with) && bytes.EqualFold(name[:len(with)], []byte(with))
	}
	switch {
	case cut&Clipboard != 0 && begins("Copy"), // Copy=, CopyToClipboard=
		cut&Queries != 0 && (begins("Report") || begins("Capabilities")),
		cut&Windows != 0 && begins("StealFocus"),
		cut&Harm != 0 && (begins("RequestUpload") || begins("OpenURL")):
		return leaveString
	case cut&Harm != 0 && hasArgs && (bytes.EqualFold(name, []byte("File")) || bytes.EqualFold(name, []byte("MultipartFile"))):
		return unclear
	}
	return pass
}

// isInline says whether the arguments of a file ask for it to be shown, and not kept.
func isInline(args []byte) bool {
	inline := false
	for pair := range bytes.SplitSeq(args, []byte(";")) {
		key, value, _ := bytes.Cut(pair, []byte("="))
		if bytes.EqualFold(bytes.TrimSpace(key), []byte("inline")) {
			if inline = string(value) == "1"; !inline {
				return false
			}
		}
	}
	return inline
}
