package screen

import "bytes"

// maxStyles bounds the stack of styles, as in xterm.
const maxStyles = 10

// pushedStyle is a style that XTPUSHSGR pushed, and which parts of it are popped.
type pushedStyle struct {
	style  style
	params string // those of XTPUSHSGR; none: all parts
}

// stackStyles obeys XTPUSHSGR and XTPOPSGR.
func (s *Screen) stackStyles(params []byte, final byte) {
	params, ok := bytes.CutSuffix(params, []byte("#"))
	if !ok || len(bytes.TrimLeft(params, "0123456789;")) > 0 {
		return
	}
	last := len(s.styles) - 1
	switch final {
	case '{', 'p':
		if len(s.styles) < maxStyles {
			s.styles = append(s.styles, pushedStyle{s.style, string(params)})
		}
	case '}', 'q':
		if last >= 0 {
			link := s.style.link // it is no part of SGR
			s.style = s.styles[last].over(s.style)
			s.style.link = link
			s.styles = s.styles[:last]
		}
	}
}

// over is a style with the pushed parts of another.
func (p *pushedStyle) over(now style) style {
	if p.params == "" {
		return p.style
	}
	var ns numbers
	if !ns.read([]byte(p.params)) {
		return now
	}
	for _, n := range ns.value[:ns.n] {
		switch n {
		case 30:
			now.fg = p.style.fg
		case 31:
			now.bg = p.style.bg
		case 4, 21:
			now.attrs = now.attrs&^underline | p.style.attrs&underline
		default:
			for _, sw := range switches[:plainly] {
				if sw.number == n {
					now.attrs = now.attrs&^sw.on | p.style.attrs&sw.on
				}
			}
		}
	}
	return now
}

// appendStyles appends what pushes the styles again.
func (s *Screen) appendStyles(b []byte) []byte {
	for _, p := range s.styles {
		p.style.link = 0
		b = p.style.appendTo(b)
		b = append(append(append(b, "\x1b["...), p.params...), "#{"...)
	}
	return b
}
