package system

import ("testing";"time")

func TestTmpCodex(t *testing.T) {
	begin(t)
	installAgents(t)
	answers := map[string]string{
		"\x1b[6n": "\x1b[1;1R", "\x1b[c": "\x1b[?62;22c",
		"\x1b]10;?\x1b\\": "\x1b]10;rgb:ffff/ffff/ffff\x1b\\", "\x1b]11;?\x1b\\": "\x1b]11;rgb:0000/0000/0000\x1b\\",
	}
	for _, argv := range [][]string{{"codex"}, {"aaau", "codex"}} {
	 for _, wait := range []time.Duration{0, time.Second} {
		who := as(t, "operator")
		if argv[0]=="codex" { who = as(t, "agent") }
		c := sitAt(t, who, 40, 120, answers, argv...)
		c.match(`Welcome to \S*Codex`)
		c.match(`> 1\.`)
		began := time.Now()
		time.Sleep(wait)
		if wait > 0 { c.typed("\x1b[B") }
		for range 80 { time.Sleep(100*time.Millisecond); c.mu.Lock(); e := c.eof; c.mu.Unlock(); if e {break} }
		t.Logf("%v %v: %v %q", argv, wait, time.Since(began), c.all()[max(0,len(c.all())-900):])
		c.typed("\x03")
		kill(t, c.pid, 9)
	 }
	}
}
