// Package audit writes the record: one JSON object a line, on disk as soon as it
// is told.
package audit

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// Record is one line, with the fields in this order.
type Record struct {
	Timestamp   Time           `json:"timestamp"`
	Source      string         `json:"source"` // human, agent or system
	User        string         `json:"user"`
	SessionID   string         `json:"session_id"`
	CommandType string         `json:"command_type"`
	Content     string         `json:"content"`
	Metadata    map[string]any `json:"metadata"`
}

// Time is seconds since 1970, to the microsecond.
type Time time.Time

// MarshalJSON gives a JSON number with six decimals.
func (t Time) MarshalJSON() ([]byte, error) {
	us := time.Time(t).UnixMicro()
	return fmt.Appendf(nil, "%d.%06d", us/1e6, us%1e6), nil
}

// Log is the bridge's own file of the record.
type Log struct {
	dir string
	mu  sync.Mutex // guards f and day, and keeps lines whole
	f   *os.File
	day string
}

// Open makes sure that the record can be written in dir. Close ends it.
func Open(dir string) (*Log, error) {
	l := &Log{dir: dir}
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.turn(time.Now()); err != nil {
		return nil, fmt.Errorf("opening the record: %w", err)
	}
	return l, nil
}

// turn opens the file of now's day. l.mu is held.
func (l *Log) turn(now time.Time) error {
	day := now.UTC().Format(time.DateOnly)
	if day == l.day {
		return nil
	}
	f, err := os.OpenFile(filepath.Join(l.dir, "aaau-"+day+".jsonl"), os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o640)
	if err != nil {
		return err
	}
	if l.f != nil {
		l.f.Close()
	}
	l.f, l.day = f, day
	return nil
}

// Write appends a record, stamped now.
func (l *Log) Write(r Record) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	r.Timestamp = Time(now)
	if r.Metadata == nil {
		r.Metadata = map[string]any{}
	}
	line, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("encoding a record: %w", err)
	}
	if err := l.turn(now); err != nil {
		return fmt.Errorf("opening the record: %w", err)
	}
	if _, err := l.f.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("writing the record: %w", err)
	}
	return nil
}

// Close closes the file.
func (l *Log) Close() error { return l.f.Close() }
