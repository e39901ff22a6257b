package vtseq

import (
	"strings"
	"testing"
)

// reports are what terminals send by themselves, in all forms known.
var reports = map[string][]string{
	"cursor":       {"\x1b[3;4R", "\x1b[?3;4R", "\x1b[?3;4;1R"},
	"status":       {"\x1b[0n", "\x1b[3n", "\x1b[?13n", "\x1b[?50n", "\x1b[?27;1;0;5n", "\x1b[?997;1n", "\x1b[1;5;6*{"},
	"identity":     {"\x1b[?62;22c", "\x1b[>1;10;0c", "\x1bP!|00000000\x1b\\", "\x1bP>|xterm(390)\x1b\\", "\x1b/Z"},
	"modes":        {"\x1b[?2026;2$y", "\x1b[4;0$y"},
	"parameters":   {"\x1b[2;1;1;128;128;1;0x", "\x1b[?0+x"},
	"checksum":     {"\x1bP1!~00AF\x1b\\"},
	"tab stops":    {"\x1bP2$u9/17/25\x1b\\"},
	"cursor state": {"\x1bP1$u1;1;1;@;@;@;0;2;@;BB%5%5\x1b\\"},
	"state":        {"\x1bP1$s1;2;3\x1b\\", "\x1bP2$s0;2;0;0;0/1;2;80;14;14\x1b\\", "\x1bP0!u%5\x1b\\"},
	"page":         {"\x1b[24;80;1;1;1\"w"},
	"settings":     {"\x1bP1$r0;1m\x1b\\", "\x1bP0$r\x1b\\", "\x1b[0;1;31m", "\x1b[>4;2m", "\x1b[?1;0#Q", "\x1b[0;0#S"},
	"capabilities": {"\x1bP1+r544e=787465726d\x1b\\", "\x1bP0+r\x1b\\", "\x1bP1+R66=67\x1b\\"},
	"locator":      {"\x1b[1;0;5;7;1&w", "\x1b[0&w", "\x1b[2;4;10;20;0&w"},
	"keyboard":     {"\x1b[?0u", "\x1b[?31u"},
	"graphics":     {"\x1b[?1;0;256S", "\x1b_Gi=31;OK\x1b\\", "\x1b_Gi=31;ENOENT:no such file\x1b\\"},
	"cursors":      {"\x1b[>1;2;3;29;100;101 q", "\x1b[> q"},
	"window":       {"\x1b[1t", "\x1b[3;10;20t", "\x1b[4;600;1000t", "\x1b[6;20;10t", "\x1b[8;24;80t", "\x1b[9;50;160t", "\x1b[48;24;80;480;800t", "\x1b]lname\x1b\\", "\x1b]Lname\x1b\\"},
	"focus":        {"\x1b[I", "\x1b[O"},
	"colours":      {"\x1b]4;1;rgb:0/0/0\a", "\x1b]5;0;rgb:0/0/0\x1b\\", "\x1b]10;rgb:0/0/0\x1b\\", "\x1b]19;rgb:0/0/0\a", "\x1b]21;foreground=rgb:0/0/0\x1b\\", "\x1b]708;rgb:0/0/0\a"},
	"clipboard":    {"\x1b]52;c;eA==\x1b\\", "\x1b]5522;type=read:status=OK\x1b\\"},
	"font":         {"\x1b]50;fixed\x1b\\", "\x1b]710;fixed\a"},
	"pointer":      {"\x1b]22;1,0\x1b\\"},
	"allowed":      {"\x1b]60;allowColorOps,allowFontOps\x1b\\", "\x1b]61;SetSelection\x1b\\"},
	"notices":      {"\x1b]99;i=1:p=?;a=report\x1b\\", "\x1b]99;i=1;\x1b\\"},
	"iTerm2":       {"\x1b]1337;ReportCellSize=17.50;8.00;2.0\x1b\\", "\x1b]1337;ReportVariable=eA==\a", "\x1b]1337;Capabilities=T3Cw5\x1b\\"},
	"kitty":        {"\x1b]5113;ac=status;st=OK\x1b\\", "\x1bP@kitty-cmd{\"ok\":true}\x1b\\"},
	"mintty":       {"\x1b]7770;12\a", "\x1b]7771;!;1\x1b\\"},
}

// A report is known wherever the stream is cut, but after what may be a key.
func TestReports(t *testing.T) {
	for name, all := range reports {
		for _, r := range all {
			want := `a["` + quoted(r) + `"]b`
			for cut := range len(r) + 1 {
				if isKey([]byte(r[:cut])) {
					continue
				}
				if got := split("a"+r[:cut], r[cut:]+"b"); got != want {
					t.Errorf("%s, cut at %d: %s, not %s", name, cut, got, want)
				}
			}
			if got := split("\x1b[200~" + r + "\x1b[201~"); strings.Contains(got, `["`) {
				t.Errorf("%s in a paste: %s", name, got)
			}
		}
	}
}

func quoted(s string) string {
	q := split(s)
	return strings.TrimSuffix(strings.TrimPrefix(q, `["`), `"]`)
}

// A mouse and keys are a person's, in whatever protocol.
func TestKeysAreNoReports(t *testing.T) {
	for _, key := range []string{
		"\x1b[A", "\x1bOA", "\x1b[1;5A", "\x1b[>1;5A", "\x1b[15~", "\x1b[15;5~", "\x1b[27;5;93~", "\x1b[93;5u", "\x1b[93;5:3u", "\x1b[97;;229u",
		"\x1b[[A", "\x1b[a", "\x1b[7$", "\x1b[7^", "\x1b[7@", "\x1b[Z", "\x1b[M !!", "\x1b[<0;1;2M", "\x1b[<0;1;2m", "\x1b[35;4;5M",
		"\x1b[65;30;97;1;0;1_", "\x1b\x1b[A", "\x1bP", "\x1b]", "\x1b_", "\x1b/", "\x1bx",
	} {
		if got := split(key, "x"); strings.Contains(got, `["`) {
			t.Errorf("%q is a report: %s", key, got)
		}
	}
}
