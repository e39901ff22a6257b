package session

import (
	"sync/atomic"
	"time"
)

// A Moment is one of the moments that are remembered of a session. They stand in the tape's
// words, so that the next bridge knows them too.
type Moment int

const (
	LastOutput Moment = iota // the program printed something
	BurstBegan               // it began to print, after it had been silent
	LastTyped                // a person typed something, or had it typed
	LastCall                 // the program called for a person's attention
	moments                  // how many there are
)

// momentWord is where a Moment is kept: microseconds since 1970, 0 for never.
func (s *Session) momentWord(m Moment) *atomic.Uint64 { return s.word(wordMoments + int(m)) }

// Note remembers when a Moment was last. It is one atomic store.
func (s *Session) Note(m Moment, at time.Time) { s.momentWord(m).Store(uint64(at.UnixMicro())) }

// When is the last time of a Moment; zero if there was none.
func (s *Session) When(m Moment) time.Time {
	at := s.momentWord(m).Load()
	if at == 0 {
		return time.Time{}
	}
	return time.UnixMicro(int64(at))
}
