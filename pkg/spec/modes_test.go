package spec

import (
	"maps"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// What one terminal is set to, another is after its modes were applied.
func TestModesTravel(t *testing.T) {
	theirs := unix.Termios{Iflag: unix.IXON | unix.IUTF8, Oflag: unix.OPOST | unix.ONLCR, Lflag: unix.ICANON | unix.ISIG | unix.ECHOE}
	theirs.Cc[unix.VERASE], theirs.Cc[unix.VINTR] = 8, 0x18
	ours := unix.Termios{Iflag: unix.IXOFF | unix.BRKINT, Lflag: unix.ICANON | unix.ECHO | unix.NOFLSH}
	ours.Cc[unix.VMIN] = 1
	m := ModesOf(theirs)
	if err := m.Check(); err != nil {
		t.Fatal(err)
	}
	m.Apply(&ours)
	if !maps.Equal(ModesOf(ours), m) {
		t.Errorf("%v, want %v", ModesOf(ours), m)
	}
	if ours.Cc[unix.VERASE] != 8 || ours.Cc[unix.VMIN] != 1 {
		t.Errorf("the characters are %v", ours.Cc)
	}
	if ours.Iflag != unix.IXON|unix.IUTF8|unix.BRKINT {
		t.Errorf("the input's switches are %#x", ours.Iflag)
	}
	if ours.Lflag&unix.ECHO == 0 {
		t.Error("echo travels: what is typed without it is not recorded")
	}
}

// A terminal that a full-screen program has to itself tells of the person no more than its
// characters.
func TestModesOfRawTerminal(t *testing.T) {
	raw := unix.Termios{}
	raw.Cc[unix.VERASE], raw.Cc[unix.VMIN] = 8, 1
	ours := unix.Termios{Iflag: unix.ICRNL, Oflag: unix.OPOST, Lflag: unix.ICANON | unix.ISIG}
	want := ours
	want.Cc[unix.VERASE] = 8
	ModesOf(raw).Apply(&ours)
	if ours != want {
		t.Errorf("%+v, want %+v", ours, want)
	}
}

func TestModesAreBounded(t *testing.T) {
	many := Modes{}
	for i := range maxModes + 1 {
		many[strings.Repeat("x", i%16)+string(rune('a'+i/16))] = 1
	}
	for _, m := range []Modes{many, {strings.Repeat("x", 17): 1}} {
		if m.Check() == nil {
			t.Errorf("%d modes are fine", len(m))
		}
	}
	if err := (Modes{"newer": 1}).Check(); err != nil {
		t.Errorf("a mode that is not known: %v", err)
	}
}
