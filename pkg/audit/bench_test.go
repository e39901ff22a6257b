package audit

import (
	"bytes"
	"math/rand"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// BenchmarkOutput records chunks of 64 KiB.
func BenchmarkOutput(b *testing.B) {
	random := make([]byte, 64<<10)
	rand.New(rand.NewSource(1)).Read(random)
	for _, kind := range []struct {
		name  string
		chunk []byte
	}{
		{"text", repeat("The quick brown fox jumps over the lazy dog, and the dog sleeps on. 0123456789\r\n")},
		{"terminal", repeat("\x1b[38;5;12mfile\x1b[0m  \x1b[1;32m\"name\"\x1b[0m\x1b[K\r\n\x1b[12;40H\x1b[7m ok \x1b[27m\x1b[2m│ ── │\x1b[22m text follows here\r\n")},
		{"boxes", repeat("╭──────────╮│ 漢字 ünd Ümläute │╰──────────╯\r\n")},
		{"short", repeat("y\r\n")},
		{"colours", repeat("\x1b[1;32mok\x1b[0m  \x1b[2mpkg/tape\x1b[22m \x1b[38;5;214m0.081s\x1b[39m a line of text with some colour in it\r\n")},
		{"random", random},
	} {
		b.Run(kind.name, func(b *testing.B) {
			s, err := Open(b.TempDir(), Options{})
			if err != nil {
				b.Fatal(err)
			}
			defer s.Close()
			c, err := s.Session("bench", "agent", false)
			if err != nil {
				b.Fatal(err)
			}
			b.SetBytes(int64(len(kind.chunk)))
			b.ReportAllocs()
			defer perCore(b, len(kind.chunk))()
			for b.Loop() {
				n, err := c.Output(Stdout, kind.chunk, true)
				if n != len(kind.chunk) || err != nil {
					b.Fatal(n, err)
				}
			}
		})
		b.Run(kind.name+"/encoding", func(b *testing.B) { // without the file system
			var h Head
			var buf []byte
			b.SetBytes(int64(len(kind.chunk)))
			b.ReportAllocs()
			now := time.Now()
			defer perCore(b, len(kind.chunk))()
			for b.Loop() {
				buf = buf[:0]
				for p := kind.chunk; len(p) > 0; {
					n, text := chunk(p, true)
					buf = h.appendOutput(buf, now, "agent", "bench", p[:n], text, Stdout, 0)
					p = p[n:]
				}
			}
		})
	}
}

func repeat(s string) []byte {
	b := bytes.Repeat([]byte(s), 64<<10/len(s)+1)[:64<<10]
	return b[:len(b)-cutShort(b)]
}

// perCore reports what one core does in a second of its own, whoever else is at it.
func perCore(b *testing.B, size int) func() {
	used := func() time.Duration {
		var r unix.Rusage
		if err := unix.Getrusage(unix.RUSAGE_THREAD, &r); err != nil {
			b.Fatal(err)
		}
		return time.Duration(r.Utime.Nano() + r.Stime.Nano())
	}
	runtime.LockOSThread()
	before := used()
	return func() {
		b.ReportMetric(float64(size)*float64(b.N)/1e6/(used()-before).Seconds(), "MB/core-s")
		runtime.UnlockOSThread()
	}
}

// BenchmarkVerify walks a chain, and BenchmarkResume finds the end of a full segment.
func BenchmarkVerify(b *testing.B) {
	dir := b.TempDir()
	full(b, dir)
	defer perCore(b, 60<<20)()
	for b.Loop() {
		if r, err := Verify(dir, "bench", nil, nil); err != nil || r.Problem != nil {
			b.Fatal(r.Problem, err)
		}
	}
}

func BenchmarkResume(b *testing.B) {
	dir := b.TempDir()
	full(b, dir)
	s, err := Open(dir, Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	for b.Loop() {
		c, err := s.Session("bench", "agent", false)
		if err != nil {
			b.Fatal(err)
		}
		if err := c.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

// full records a segment that is nearly full.
func full(b *testing.B, dir string) {
	s, err := Open(dir, Options{})
	if err != nil {
		b.Fatal(err)
	}
	c, err := s.Session("bench", "agent", false)
	if err != nil {
		b.Fatal(err)
	}
	chunk := repeat("The quick brown fox jumps over the lazy dog, and the dog sleeps on. 0123456789\r\n")
	for range (60 << 20) / len(chunk) {
		if _, err := c.Output(Stdout, chunk, true); err != nil {
			b.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
}
