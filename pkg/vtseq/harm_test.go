package vtseq

import (
	"strings"
	"testing"
)

// What reaches beyond the terminal is cut, and what looks like it is not, wherever the
// stream is cut.
func TestHarm(t *testing.T) {
	const esc8, st = "\xc2\x90", "\x1b\\"
	for _, c := range []struct{ in, want string }{
		{"a\x05b", "ab"},
		{"a\x1b G\x1b Fb", "a\x1b Fb"},
		{"a\x1b[20tb\x1b[21tc\x1b[021;0td\x1b[22;0te\x1b[18tf\x1b[8;24;80t", "abcd\x1b[22;0te\x1b[18tf\x1b[8;24;80t"},
		{"a\x1b[5ib\x1b[?5ic\x1b[id\x1b[10;1ie\xc2\x9b4if", "abcdef"},
		// kitty
		{"a\x1b]5113;ac=send;" + strings.Repeat("x", 1000) + st + "b", "a" + st + "b"},
		{"a\x1bP@kitty-cmd{\"cmd\":\"launch\"}" + st + "b" + esc8 + "@kitty-ssh|x\xc2\x9cc", "a" + st + "bc"},
		{"a\x1bP@kittx" + st + "b", "a\x1bP@kittx" + st + "b"},
		{"a\x1b_Ga=T,t=f;L2V0Yy9wYXNzd2Q=" + st + "b\x1b_Gt=t,f=24;eA==" + st + "c\x1b_Gf=32,t=s;eA==" + st + "d\x1b_Gt=d,t=f" + st + "e", "a" + st + "b" + st + "c" + st + "d" + st + "e"},
		{"a\x1b_Ga=T,f=100,t=d;eA==" + st + "\x1b_Gm=0;eA==" + st + "\x1b_Ga=q,i=1;AA" + st + "b", "a\x1b_Ga=T,f=100,t=d;eA==" + st + "\x1b_Gm=0;eA==" + st + "\x1b_Ga=q,i=1;AA" + st + "b"},
		// iTerm2
		{"a\x1b]1337;File=name=eA==;size=3:eHh4\ab", "a\ab"},
		{"a\x1b]1337;file=inline=0:eHh4\ab\x1b]1337;File=inline=1;inline=0:eHh4\ac", "a\ab\ac"},
		{"a\x1b]1337;MultipartFile=name=eA==\ab\x1b]1337;RequestUpload=format=tgz\ac\x1b]1337;OpenURL=:eA==\ad", "a\ab\ac\ad"},
		{"a\x1b]1337;File=" + strings.Repeat("x", 300) + ";inline=1:eHh4\ab", "a\ab"},
		{"a\x1b]1337;File=size=3;inline=1:eHh4\ab\x1b]1337;MultipartFile=inline=1\ac", "a\x1b]1337;File=size=3;inline=1:eHh4\ab\x1b]1337;MultipartFile=inline=1\ac"},
		{"a\x1b]1337;SetMark\ab\x1b]1337;SetUserVar=x=" + strings.Repeat("y", 500) + "\ac\x1b]1337;ReportCellSize\ad", "a\x1b]1337;SetMark\ab\x1b]1337;SetUserVar=x=" + strings.Repeat("y", 500) + "\ac\x1b]1337;ReportCellSize\ad"},
		// Files of others
		{"a\x1b]46;/home/olga/.profile\ab\x1b]20;/etc/x.png\ac\x1b]5379;scp a b\ad\x1b]5380;x=y" + st + "e\x1b]2;46\af", "a\ab\ac\ad" + st + "e\x1b]2;46\af"},
		// ConEmu
		{"a\x1b]9;7;\"calc\"\ab\x1b]9;6;\"x\"\ac\x1b]9;4;1;50\ad\x1b]9;7 tests failed\ae\x1b]9;\af", "a\ab\ac\x1b]9;4;1;50\ad\x1b]9;7 tests failed\ae\x1b]9;\af"},
		// What is left must not become whole by the cut.
		{"\x1bP\x1b[5i@kitty-cmd{}" + st, "@kitty-cmd{}" + st},
		{"\x1bP\x1bP\x1b[5i@kitty-cmd{}" + st, "@kitty-cmd{}" + st},
		{"\x1bP@kitty\x1b[5i-cmd{}" + st, "-cmd{}" + st},
		{"\x1b]9;\x1b[5i7;calc\a", "7;calc\a"},
		{"\x1b]1337;Open\x1b[5iURL=:x\a", "URL=:x\a"},
		{"\x1b_Gt=\x1b[5if;x" + st, "f;x" + st},
		{"\x1b \x1b[5iG", "G"},
		{"\x1b[5\x05i", ""},
	} {
		for size := 1; size <= min(len(c.in), 300); size++ {
			if got, _ := sent(t, []byte(c.in), Harm, size); strings.ReplaceAll(got, "\a", "") != strings.ReplaceAll(c.want, "\a", "") {
				t.Fatalf("%.80q in chunks of %d: %.90q, not %.90q", c.in, size, got, c.want)
			}
		}
	}
}

// Who does not drive gets no question, and nobody else's window is moved.
func TestViewersCut(t *testing.T) {
	const st = "\x1b\\"
	for _, c := range []struct {
		cut      Cut
		in, want string
	}{
		{Windows, "a\x1b[1tb\x1b[2tc\x1b[3;0;0td\x1b[8;10;10te\x1b[9;1tf\x1b[50tg\x1b[22;0th\x1b[23;0ti\x1b[>2tj\x1b[1;1;2;2;1$tk", "abcdefg\x1b[22;0th\x1b[23;0ti\x1b[>2tj\x1b[1;1;2;2;1$tk"},
		{Windows, "a\x1b[132$|b\x1b[36*|c\x1b]1337;StealFocus\ad", "abcd"},
		{Queries, "a\x1b[1;1;1;1;1;1*yb\x1b[2$wc\x1b['|d\x1b[0'|e\x1b[> qf\x1b[>100 qg\x1b[7nh\x1b Gi", "abcdefghi"},
		{Queries, "a\x1b]60" + st + "b\x1b]60\ac\x1b]61;SetSelection" + st + "d\x1b]50;?\ae\x1b]22;?__current__" + st + "f\x1b]22;pointer" + st + "g", "a" + st + "bc" + st + "de" + st + "f\x1b]22;pointer" + st + "g"},
		{Queries, "a\x1b]1337;ReportCellSize\ab\x1b]1337;ReportVariable=eA==" + st + "c\x1b]1337;Capabilities\ad\x1b]1337;SetMark\a", "ab" + st + "cd\x1b]1337;SetMark\a"},
		{Queries, "a\x1bP+Q41" + st + "b\x1bP1000p%begin" + st + "c\x1b]702;?" + st + "d\x1b]7770;?\ae\x1b]176;?" + st + "f", "a" + st + "b" + st + "c" + st + "de" + st + "f"},
		{Queries, "\x1bP\x1b]11;?\a+q544e" + st, "+q544e" + st},
	} {
		for size := 1; size <= len(c.in); size++ {
			if got, _ := sent(t, []byte(c.in), c.cut, size); strings.ReplaceAll(got, "\a", "") != strings.ReplaceAll(c.want, "\a", "") {
				t.Fatalf("%.80q without %d in chunks of %d: %.80q, not %.80q", c.in, c.cut, size, got, c.want)
			}
		}
	}
}
