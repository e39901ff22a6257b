package audit

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"slices"
	"strings"
	"unicode/utf8"
	"unsafe"
)

// What a chunk of output holds at most, in bytes, and one that is no UTF-8. Of the
// latter the chunks are short, so that what is text beside it stays text.
const (
	maxText   = 64 << 10
	maxBinary = 4 << 10
	minText   = 1 << 10 // text before what is none gets a record of its own from here on
)

// A string has one spelling in the record. Escaped are the quotation mark and the
// backslash, and all that would make a terminal do something, or a tool see more
// than one line: C0, DEL, C1, U+2028 and U+2029. So a record is safe to print.
//
//	\" \\ \n \r \t    \u00XX for the rest, lower-case    everything else as it is

const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// odd has the high bit set in the lowest byte of w that is not printable ASCII or
// needs an escape. What it says of the bytes above that one means nothing.
func odd(w uint64) uint64 {
	quote, slash, del := w^ones*'"', w^ones*'\\', w^ones*0x7f
	return ((w-ones*0x20)&^w | (quote-ones)&^quote | (slash-ones)&^slash | (del-ones)&^del | w) & highs
}

const hexDigits = "0123456789abcdef"

// spellings are what ASCII characters are in a string, in the lower bytes, and the lengths of
// that, in the highest.
var spellings = func() (table [128]uint64) {
	set := func(c byte, spelling string) {
		var b [8]byte
		copy(b[:], spelling)
		b[7] = byte(len(spelling))
		table[c] = binary.LittleEndian.Uint64(b[:])
	}
	for c := range byte(0x80) {
		set(c, string(rune(c)))
	}
	for c := range byte(0x20) {
		set(c, fmt.Sprintf("\\u%04x", c))
	}
	set(0x7f, "\\u007f")
	set('\n', "\\n")
	set('\r', "\\r")
	set('\t', "\\t")
	set('"', "\\\"")
	set('\\', "\\\\")
	return table
}()

// appendEscaped appends s, which is UTF-8, as the inside of a JSON string.
func appendEscaped(dst, s []byte) []byte {
	const block = 4 << 10
	for i := 0; i < len(s); {
		end := min(len(s), i+block)
		// Six for each byte, and what the last step may write beyond.
		dst = slices.Grow(dst, 6*(end-i)+16)
		d, j := dst[len(dst):cap(dst)], 0
		for i < end {
			if len(s)-i >= 8 {
				w := binary.LittleEndian.Uint64(s[i:])
				binary.LittleEndian.PutUint64(d[j:], w)
				m := odd(w)
				if m == 0 {
					i, j = i+8, j+8
					continue
				}
				n := bits.TrailingZeros64(m) / 8
				i, j = i+n, j+n
			}
			// What is odd seldom is alone: the ends of short lines stand close together.
			for near := i + 1; i < end && i <= near && s[i] < 0x80; i++ {
				e := spellings[s[i]]
				binary.LittleEndian.PutUint64(d[j:], e)
				if j += int(e >> 56); e>>56 > 1 {
					near = i + 2
				}
			}
			for i < end && s[i] >= 0x80 { // what is not ASCII seldom is alone
				switch c := s[i]; {
				case c == 0xc2 && s[i+1] < 0xa0:
					j += putUnicode(d[j:], rune(s[i+1]))
					i += 2
				case c == 0xe2 && s[i+1] == 0x80 && s[i+2]&^1 == 0xa8:
					j += putUnicode(d[j:], 0x2000|rune(s[i+2]&0x3f))
					i += 3
				default:
					n := 2
					if c >= 0xf0 {
						n = 4
					} else if c >= 0xe0 {
						n = 3
					}
					if len(s)-i >= 4 {
						binary.LittleEndian.PutUint32(d[j:], binary.LittleEndian.Uint32(s[i:]))
					} else {
						copy(d[j:], s[i:i+n])
					}
					i, j = i+n, j+n
				}
			}
		}
		dst = dst[:len(dst)+j]
	}
	return dst
}

func putUnicode(d []byte, r rune) int {
	_ = d[5]
	d[0], d[1] = '\\', 'u'
	d[2], d[3] = hexDigits[r>>12&15], hexDigits[r>>8&15]
	d[4], d[5] = hexDigits[r>>4&15], hexDigits[r&15]
	return 6
}

// appendString appends s as a JSON string. What is no UTF-8 in it is replaced: what
// must be exact is not a string here.
func appendString(dst []byte, s string) []byte {
	if !utf8.ValidString(s) {
		s = strings.ToValidUTF8(s, "\ufffd")
	}
	dst = append(dst, '"')
	dst = appendEscaped(dst, unsafe.Slice(unsafe.StringData(s), len(s)))
	return append(dst, '"')
}

// appendSafe appends JSON that another encoder made, with the escapes that we want
// and it did not need. They can only be wanted inside of its strings.
func appendSafe(dst, json []byte) []byte {
	for i := 0; i < len(json); {
		r, n := utf8.DecodeRune(json[i:])
		if r >= 0x7f && r < 0xa0 || r == 0x2028 || r == 0x2029 {
			dst = slices.Grow(dst, 6)
			dst = dst[:len(dst)+putUnicode(dst[len(dst):len(dst)+6], r)]
		} else {
			dst = append(dst, json[i:i+n]...)
		}
		i += n
	}
	return dst
}

var errNoString = errors.New("not a string as records have them")

// unescape appends what the inside of a JSON string stands for. It takes what
// appendEscaped writes, and more, but no surrogates.
func unescape(dst, s []byte) ([]byte, error) {
	for {
		i := bytes.IndexByte(s, '\\')
		if i < 0 {
			return append(dst, s...), nil
		}
		dst = append(dst, s[:i]...)
		s = s[i+1:]
		if len(s) == 0 {
			return nil, errNoString
		}
		c := s[0]
		s = s[1:]
		switch c {
		case '"', '\\', '/':
		case 'n':
			c = '\n'
		case 'r':
			c = '\r'
		case 't':
			c = '\t'
		case 'u':
			r, ok := hex4(s)
			if !ok || r >= 0xd800 && r < 0xe000 {
				return nil, errNoString
			}
			dst, s = utf8.AppendRune(dst, r), s[4:]
			continue
		default:
			return nil, errNoString
		}
		dst = append(dst, c)
	}
}

func hex4(s []byte) (r rune, ok bool) {
	if len(s) < 4 {
		return 0, false
	}
	for _, c := range s[:4] {
		d := strings.IndexByte(hexDigits, c)
		if d < 0 {
			return 0, false
		}
		r = r<<4 | rune(d)
	}
	return r, true
}

// exact is a content that stands for just these bytes, and its encoding.
func exact(p []byte) (content, encoding string) {
	if utf8.Valid(p) {
		return string(p), ""
	}
	return base64.StdEncoding.EncodeToString(p), "base64"
}

// inexact undoes exact.
func inexact(content []byte, encoding string) ([]byte, error) {
	switch encoding {
	case "":
		return content, nil
	case "base64":
		return base64.StdEncoding.AppendDecode(nil, content)
	}
	return nil, fmt.Errorf("unknown encoding %.40q", encoding)
}

// chunk says how many bytes at the beginning of p make the next record, and whether
// they are text. It is 0 if p is only the beginning of a character; if last, nothing
// follows that could be the rest.
func chunk(p []byte, last bool) (n int, text bool) {
	w := p[:min(len(p), maxText)]
	whole := len(w) - cutShort(w)
	if !utf8.Valid(w[:whole]) {
		if good := validPrefix(w); good >= minText {
			return good, true
		}
		w = w[:min(len(w), maxBinary)]
		if n := len(w) - cutShort(w); n > 0 {
			return n, false
		}
		return len(w), false
	}
	if whole == 0 && last {
		return len(w), false
	}
	return whole, true
}

// cutShort is how many bytes at the end of p are a character whose end is missing.
func cutShort(p []byte) int {
	for n := 1; n <= min(len(p), utf8.UTFMax-1); n++ {
		if c := p[len(p)-n:]; utf8.RuneStart(c[0]) {
			if utf8.FullRune(c) {
				return 0
			}
			return n
		}
	}
	return 0
}

// validPrefix is how many bytes p begins with that are UTF-8.
func validPrefix(p []byte) (n int) {
	for n < len(p) {
		w := p[n:min(len(p), n+256)]
		w = w[:len(w)-cutShort(w)]
		if len(w) > 0 && utf8.Valid(w) {
			n += len(w)
			continue
		}
		r, size := utf8.DecodeRune(p[n:])
		if r == utf8.RuneError && size <= 1 {
			return n
		}
		n += size
	}
	return n
}
