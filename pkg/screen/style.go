package screen

import "strconv"

// color is one of the terminal's (its number and indexed), or any (its RGB and
// direct). 0 is the default.
type color uint32

const (
	indexed color = 1 << 24
	direct  color = 2 << 24
)

// style is how a character looks, and what it links to.
type style struct {
	fg, bg, ul color // ul is the underline's
	attrs      attrs
	link       uint16 // in the Screen's links, counted from 1
}

type attrs uint16

const (
	bold attrs = 1 << iota
	dim
	italic
	blink
	inverse
	invisible
	strike
	overline

	underlineAt       = 8 // three bits: the number after SGR 4:
	underline   attrs = 7 << underlineAt
)

// switches are the SGR numbers that switch attributes.
var switches = [...]struct {
	number  int
	on, off attrs
}{
	{1, bold, 0}, {2, dim, 0}, {3, italic, 0}, {4, 1 << underlineAt, underline}, {5, blink, 0}, {7, inverse, 0}, {8, invisible, 0}, {9, strike, 0}, {53, overline, 0},
	{6, blink, 0}, {21, 2 << underlineAt, underline},
	{22, 0, bold | dim}, {23, 0, italic}, {24, 0, underline}, {25, 0, blink}, {27, 0, inverse}, {28, 0, invisible}, {29, 0, strike}, {55, 0, overline},
}

// plainly are those of switches that appendTo uses for attributes that are on.
const plainly = 9

// sgr obeys SGR with these parameters.
func (st *style) sgr(params []byte) {
	for first := true; first || len(params) > 0; first = false {
		var p sgrParam
		params = p.read(params)
		switch n := p.value[0]; {
		case n == 0:
			*st = style{link: st.link}
		case n == 4 && p.n > 1:
			if p.value[1] <= 5 {
				st.attrs = st.attrs&^underline | attrs(p.value[1])<<underlineAt
			}
		case 30 <= n && n <= 37:
			st.fg = indexed | color(n-30)
		case 40 <= n && n <= 47:
			st.bg = indexed | color(n-40)
		case 90 <= n && n <= 97:
			st.fg = indexed | color(n-90+8)
		case 100 <= n && n <= 107:
			st.bg = indexed | color(n-100+8)
		case n == 38:
			params = p.color(&st.fg, params)
		case n == 48:
			params = p.color(&st.bg, params)
		case n == 58:
			params = p.color(&st.ul, params)
		case n == 39:
			st.fg = 0
		case n == 49:
			st.bg = 0
		case n == 59:
			st.ul = 0
		default:
			for _, s := range switches {
				if s.number == n {
					st.attrs = st.attrs&^s.off | s.on
				}
			}
		}
	}
}

// sgrParam is a parameter of SGR, with what follows it after colons.
type sgrParam struct {
	value [6]int
	n     int
}

// read reads one from the beginning of params and returns the rest.
func (p *sgrParam) read(params []byte) []byte {
	p.n = 1
	for i, b := range params {
		switch v := &p.value[min(p.n, len(p.value))-1]; b {
		case ';':
			return params[i+1:]
		case ':':
			p.n++
		default:
			*v = min(*v*10+int(b-'0'), 1<<16)
		}
	}
	return nil
}

// color reads the colour that p begins, from p itself or from the parameters after
// it, and returns the rest of these.
func (p *sgrParam) color(c *color, params []byte) []byte {
	v := p.value[1:]
	if p.n == 1 {
		var kind sgrParam
		params = kind.read(params)
		v[0] = kind.value[0]
		more := 0
		switch v[0] {
		case 5:
			more = 1
		case 2:
			more = 3
		}
		for i := range more {
			var q sgrParam
			params = q.read(params)
			v[1+i] = q.value[0]
		}
	} else if v[0] == 2 && p.n > 5 { // 38:2:colour space:r:g:b
		v = v[1:]
		v[0] = 2
	}
	switch {
	case v[0] == 5 && v[1] <= 255:
		*c = indexed | color(v[1])
	case v[0] == 2 && max(v[1], v[2], v[3]) <= 255:
		*c = direct | color(v[1]<<16|v[2]<<8|v[3])
	}
	return params
}

// appendTo appends SGR that makes any style this one, but for the link.
func (st style) appendTo(b []byte) []byte {
	b = append(b, "\x1b["...)
	if (st == style{link: st.link}) {
		return append(b, 'm')
	}
	b = append(b, '0')
	for _, s := range switches[:plainly] {
		if s.on == 1<<underlineAt && st.attrs&underline != 0 || st.attrs&s.on != 0 && s.off == 0 {
			b = append(b, ';')
			b = strconv.AppendInt(b, int64(s.number), 10)
		}
	}
	b = st.fg.appendTo(b, 30)
	b = st.bg.appendTo(b, 40)
	b = append(b, 'm')
	// What old terminals do not know stands alone, and in colons, which they do not
	// take for several parameters.
	if u := st.attrs & underline >> underlineAt; u > 1 {
		b = append(b, "\x1b[4:"...)
		b = append(b, '0'+byte(u), 'm')
	}
	switch {
	case st.ul&direct != 0:
		b = append(b, "\x1b[58:2:"...)
		for shift := 16; shift >= 0; shift -= 8 {
			b = append(b, ':')
			b = strconv.AppendInt(b, int64(st.ul>>shift&255), 10)
		}
		b = append(b, 'm')
	case st.ul&indexed != 0:
		b = append(b, "\x1b[58:5:"...)
		b = append(strconv.AppendInt(b, int64(st.ul&255), 10), 'm')
	}
	return b
}

// appendTo appends the parameters for a colour; base is 30 or 40.
func (c color) appendTo(b []byte, base int64) []byte {
	n := int64(c & 255)
	switch {
	case c == 0:
		return b
	case c&direct != 0:
		b = append(b, ';')
		b = strconv.AppendInt(b, base+8, 10)
		b = append(b, ";2"...)
		for shift := 16; shift >= 0; shift -= 8 {
			b = append(b, ';')
			b = strconv.AppendInt(b, int64(c>>shift&255), 10)
		}
		return b
	case n < 8:
		n += base
	case n < 16:
		n += base + 60 - 8
	default:
		b = append(b, ';')
		b = strconv.AppendInt(b, base+8, 10)
		b = append(b, ";5"...)
	}
	b = append(b, ';')
	return strconv.AppendInt(b, n, 10)
}
