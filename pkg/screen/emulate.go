package screen

import (
	"reflect"

	"github.com/gdamore/tcell/v3/vt"
)

// emulate makes an emulator that draws on g, and returns its input.
//
// Its own Write hands the bytes to a goroutine of its own, where no panic can be
// recovered from: one would end the bridge and every session, and six bytes are
// enough for one ("\x1b8\x1b[1m"). So the function that it keeps for the next byte
// is called here. An emulator that was not started sends nothing either, so the
// answers to queries are gone. TestEmulator fails if a later version is made
// otherwise.
func emulate(g *grid) *func(byte) {
	em := vt.NewEmulator(g)
	inb := reflect.ValueOf(em).Elem().FieldByName("inb")
	if inb.Type() != reflect.TypeFor[func(byte)]() {
		panic("tcell's emulator is made otherwise")
	}
	return (*func(byte))(inb.Addr().UnsafePointer())
}

func (s *Screen) feed(sequence string) {
	for i := range len(sequence) {
		(*s.inb)(sequence[i])
	}
}
