package vtseq

import (
	"bytes"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxString is the longest OSC string that Modes obeys whole, in bytes.
const MaxString = 2 << 10

const (
	maxValue    = 64               // bytes of a colour or of a pointer's name
	maxNamed    = paletteSize + 64 // colours by name (kitty's OSC 21)
	maxPointers = 16               // that were pushed on one screen, as in kitty
	paletteSize = 256
	specialSize = 16 // colours of bold, underlined … text, at most
)

// looks are how a terminal looks besides what is on its screen. What a value means is
// the terminal's business: here are only its bytes, which are printable.
type looks struct {
	// colors are the colours that were set, by what stands before the value in the
	// sequence that sets them: "4;1" is the palette's second, "11" the background, and
	// "21;cursor" kitty's name for the cursor's.
	colors map[string]string
	named  int // of them that begin with 21

	unknown  bool // a sequence that set colours was too long to be read whole
	progress string
	status   [len(statuses)]string
	pointers [2]pointers
}

// statuses are the sequences by which an agent tells the terminal what it does, for the
// terminal's tabs to show, each with what takes that away again.
var statuses = [...]struct {
	number int
	clear  string
}{
	{7501, "state=clear"},
	{21337, "status=;indicator=;status-color=;detail="},
}

// maxStatus bounds a status, in bytes.
const maxStatus = 512

// pointers are the shapes of the mouse pointer on one screen.
type pointers struct {
	shape  string   // that was set before any was pushed
	pushed []string // kitty's
}

// OSC obeys the body of an OSC string.
func (m *Modes) OSC(body []byte) {
	n, digits := number(body)
	if digits == 0 || digits < len(body) && body[digits] != ';' {
		return
	}
	data := body[min(digits+1, len(body)):]
	l := &m.looks
	if len(body) >= MaxString && (n == 4 || n == 5 || n == 21) {
		l.unknown = true
	}
	switch {
	case n == 4 || n == 5:
		l.indexed(n, data)
	case n == 104 || n == 105:
		l.resetIndexed(n-100, data)
	case 10 <= n && n <= 19:
		for value := range bytes.SplitSeq(data, []byte(";")) {
			if n <= 19 {
				l.set(strconv.Itoa(n), value)
			}
			n++
		}
	case 110 <= n && n <= 119:
		delete(l.colors, strconv.Itoa(n-100))
	case n == 21:
		l.byName(data)
	case n == 6:
		l.tab(data)
	case n == 50 || n == 1337: // as iTerm2 and Konsole have it
		if shape, ok := bytes.CutPrefix(data, []byte("CursorShape=")); ok {
			m.shape = map[string]int{"0": 2, "1": 6, "2": 4}[string(shape)]
		}
	case n == 8:
		_, uri, _ := bytes.Cut(data, []byte(";"))
		m.traces.mark(linked, len(uri) > 0)
	case n == 9:
		if state, ok := bytes.CutPrefix(data, []byte("4;")); ok {
			l.progress = ""
			if isValue(state) && state[0] != '0' {
				l.progress = string(state)
			}
		}
	case n == 22:
		l.pointers[m.screen()].obey(data)
	default:
		l.tell(n, data)
	}
}

// tell notes a status. One that is too long to be kept is told to nobody who comes later,
// but is taken away from who has been told.
func (l *looks) tell(number int, data []byte) {
	for i, s := range statuses {
		switch {
		case s.number != number:
		case isEmptyStatus(data) || bytes.HasPrefix(data, []byte("state=clear")):
			l.status[i] = ""
		case len(data) > maxStatus || !isPrintable(data):
			l.status[i] = s.clear
		default:
			l.status[i] = string(data)
		}
	}
}

// isEmptyStatus says whether no key of a status has a value.
func isEmptyStatus(data []byte) bool {
	for pair := range bytes.SplitSeq(data, []byte(";")) {
		if _, value, _ := bytes.Cut(pair, []byte("=")); len(value) > 0 {
			return false
		}
	}
	return true
}

// isPrintable says whether a text has only characters that can be seen.
func isPrintable(text []byte) bool {
	return utf8.Valid(text) && !bytes.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) })
}

// isValue says whether it can be given to another terminal as it is.
func isValue(v []byte) bool {
	for _, b := range v {
		if b < ' ' || b > '~' {
			return false
		}
	}
	return len(v) > 0 && len(v) <= maxValue
}

// set notes a colour. A question sets none.
func (l *looks) set(key string, value []byte) {
	if !isValue(value) || value[0] == '?' || bytes.IndexByte(value, ';') >= 0 {
		return
	}
	if l.colors == nil {
		l.colors = map[string]string{}
	}
	l.colors[key] = string(value)
}

// indexed obeys pairs of a number and a colour.
func (l *looks) indexed(kind int, data []byte) {
	for len(data) > 0 {
		var index, value []byte
		index, data, _ = bytes.Cut(data, []byte(";"))
		value, data, _ = bytes.Cut(data, []byte(";"))
		if key, ok := indexKey(kind, index); ok {
			l.set(key, value)
		}
	}
}

// indexKey is the key of a colour by its number: in OSC 4 the special ones follow the
// palette's.
func indexKey(kind int, index []byte) (key string, ok bool) {
	n, digits := number(index)
	if kind == 4 && n >= paletteSize {
		kind, n = 5, n-paletteSize
	}
	most := paletteSize
	if kind == 5 {
		most = specialSize
	}
	return strconv.Itoa(kind) + ";" + strconv.Itoa(n), digits > 0 && digits == len(index) && n < most
}

// resetIndexed forgets the colours of these numbers; of none, all.
func (l *looks) resetIndexed(kind int, data []byte) {
	if len(data) == 0 {
		begins := strconv.Itoa(kind) + ";"
		for key := range l.colors {
			if strings.HasPrefix(key, begins) {
				delete(l.colors, key)
			}
		}
		l.unknown = l.unknown && kind != 4
		return
	}
	for index := range bytes.SplitSeq(data, []byte(";")) {
		if key, ok := indexKey(kind, index); ok {
			delete(l.colors, key)
		}
	}
}

// tab obeys iTerm2's OSC 6, which sets the colour of the terminal's tab, each of its three parts
// by one string.
func (l *looks) tab(data []byte) {
	if string(data) == "1;bg;*;default" {
		for _, part := range tabParts {
			delete(l.colors, tabKey(part))
		}
		return
	}
	for _, part := range tabParts {
		if value, ok := bytes.CutPrefix(data, []byte(tabKey(part)[len("6;"):]+";")); ok && onlyDigits(value) {
			l.set(tabKey(part), value)
		}
	}
}

var tabParts = []string{"red", "green", "blue"}

func tabKey(part string) string { return "6;1;bg;" + part + ";brightness" }

// byName obeys kitty's OSC 21: pairs of a name and a colour, which is reset without =.
func (l *looks) byName(data []byte) {
	for pair := range bytes.SplitSeq(data, []byte(";")) {
		name, value, sets := bytes.Cut(pair, []byte("="))
		if !isName(name) || sets && len(value) > 0 && (value[0] == '?' || !isValue(value)) {
			continue
		}
		key := "21;" + string(name)
		_, has := l.colors[key]
		switch {
		case !sets && has:
			delete(l.colors, key)
			l.named--
		case sets && (has || l.named < maxNamed):
			if !has {
				l.named++
			}
			if l.colors == nil {
				l.colors = map[string]string{}
			}
			l.colors[key] = string(value)
		}
	}
}

// isName says whether it may be the name of a colour or of a pointer.
func isName(name []byte) bool {
	for _, b := range name {
		if !(b == '_' || b == '-' || '0' <= b && b <= '9' || 'a' <= b && b <= 'z' || 'A' <= b && b <= 'Z') {
			return false
		}
	}
	return len(name) > 0 && len(name) <= maxValue
}

// obey obeys the data of OSC 22.
func (p *pointers) obey(data []byte) {
	switch {
	case len(data) > 0 && data[0] == '<':
		p.pushed = p.pushed[:max(len(p.pushed)-1, 0)]
	case len(data) > 0 && data[0] == '>':
		for name := range bytes.SplitSeq(data[1:], []byte(",")) {
			if !isName(name) {
				continue
			}
			if len(p.pushed) == maxPointers {
				p.pushed = append(p.pushed[:0], p.pushed[1:]...)
			}
			p.pushed = append(p.pushed, string(name))
		}
	default:
		name := bytes.TrimPrefix(data, []byte("="))
		if len(name) > 0 && !isName(name) {
			return // a question, or nothing that could be given on
		}
		if last := len(p.pushed) - 1; last >= 0 {
			p.pushed[last] = string(name)
		} else {
			p.shape = string(name)
		}
	}
}

// appendOSC appends a whole OSC string.
func appendOSC(b []byte, parts ...string) []byte {
	b = append(b, "\x1b]"...)
	for _, part := range parts {
		b = append(b, part...)
	}
	return append(b, "\x1b\\"...)
}

// appendTo appends what makes the pointer of a terminal that was reset this one.
func (p *pointers) appendTo(b []byte) []byte {
	if p.shape != "" {
		b = appendOSC(b, "22;", p.shape)
	}
	for _, name := range p.pushed {
		if name == "" {
			name = "default"
		}
		b = appendOSC(b, "22;>", name)
	}
	return b
}

// pop appends what empties the stack of pointers.
func (p *pointers) pop(b []byte) []byte {
	for range p.pushed {
		b = appendOSC(b, "22;<")
	}
	return b
}

// appendTo appends what gives a terminal these looks, but for the pointer's.
func (l *looks) appendTo(b []byte) []byte {
	for _, key := range l.keys() {
		between := ";"
		if strings.HasPrefix(key, "21;") {
			between = "="
		}
		b = appendOSC(b, key, between, l.colors[key])
	}
	if l.progress != "" {
		b = appendOSC(b, "9;4;", l.progress)
	}
	for i, status := range l.status {
		if status != "" {
			b = appendOSC(b, strconv.Itoa(statuses[i].number), ";", status)
		}
	}
	return b
}

// keys are the colours' in one order.
func (l *looks) keys() []string {
	keys := make([]string, 0, len(l.colors))
	for key := range l.colors {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

// undo appends what gives a terminal its own looks back, but for the pointer's.
func (l *looks) undo(b []byte) []byte {
	if l.unknown {
		b = appendOSC(b, "104")
	}
	kind, open, tab := "", false, false
	for _, key := range l.keys() {
		number, index, has := strings.Cut(key, ";")
		if number == "6" {
			tab = true
			continue
		}
		if open && (number != kind || !has) {
			b, open = append(b, "\x1b\\"...), false
		}
		switch {
		case !has:
			b = appendOSC(b, "1", number)
			continue
		case l.unknown && number == "4":
			continue
		case !open:
			b = append(b, "\x1b]"...)
			if number != "21" {
				b = append(b, "10"...)
			}
			b = append(b, number...)
			kind, open = number, true
		}
		b = append(append(b, ';'), index...)
	}
	if open {
		b = append(b, "\x1b\\"...)
	}
	if tab {
		b = appendOSC(b, "6;1;bg;*;default")
	}
	if l.progress != "" {
		b = appendOSC(b, "9;4;0")
	}
	for i, status := range l.status {
		if status != "" {
			b = appendOSC(b, strconv.Itoa(statuses[i].number), ";", statuses[i].clear)
		}
	}
	return b
}

// appendPointer appends what makes the pointer the usual one, once nothing is pushed.
func (l *looks) appendPointer(b []byte) []byte {
	if l.pointers[0].touched() || l.pointers[1].touched() {
		b = appendOSC(b, "22;")
	}
	return b
}

func (p *pointers) touched() bool { return p.shape != "" || len(p.pushed) > 0 }
