package main

import (
	"fmt"
	"io"
	"math"
	"os/exec"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
)

// report is what a run found out, as it is in the JSON file. Times are in ms,
// throughput in MB/s.
type report struct {
	Versions []string         `json:"versions"`
	CPUs     int              `json:"cpus"`
	Subjects []subjectFigures `json:"subjects"`
	Cold     float64          `json:"aaau_first_start_ms"`
	Start    []step           `json:"aaau_start_ms"`
	Targets  []target         `json:"targets"`
}

type subjectFigures struct {
	Name       string  `json:"name"`
	Start      figures `json:"start_ms"`
	Echo       figures `json:"echo_ms"`
	End        figures `json:"end_ms"`
	Throughput figures `json:"throughput_mb_s"`
}

type figures struct {
	N      int     `json:"n"`
	Min    float64 `json:"min"`
	Median float64 `json:"median"`
	P99    float64 `json:"p99"`
	Max    float64 `json:"max"`
}

// step is one of the parts of aaau's start: a median.
type step struct {
	Name string  `json:"name"`
	MS   float64 `json:"ms"`
}

// target is a promise about a ratio of medians.
type target struct {
	Measure   string  `json:"measure"`
	Reference string  `json:"reference"`
	Bound     string  `json:"bound"`
	AaaU      float64 `json:"aaau"`
	Other     float64 `json:"other"`
	Ratio     float64 `json:"ratio"`
	Met       bool    `json:"met"`
}

// The references that targets name, which the table's ratios are to.
var references = []struct {
	measure, subject, bound string
	of                      func(subjectFigures) figures
	met                     func(ratio float64) bool
}{
	{"start", systemdRun, "at most 0.5 of", func(f subjectFigures) figures { return f.Start }, func(r float64) bool { return r <= 0.5 }},
	{"echo", tmux, "under", func(f subjectFigures) figures { return f.Echo }, func(r float64) bool { return r < 1 }},
	{"throughput", bare, "at least 0.9 of", func(f subjectFigures) figures { return f.Throughput }, func(r float64) bool { return r >= 0.9 }},
}

func summary(samples []float64) figures {
	s := slices.Sorted(slices.Values(samples))
	return figures{len(s), s[0], quantile(s, 0.5), quantile(s, 0.99), s[len(s)-1]}
}

// quantile is the smallest of the sorted samples that a share q of them does not
// exceed; halfway between two of them if the share ends there.
func quantile(sorted []float64, q float64) float64 {
	x := q * float64(len(sorted))
	i := int(math.Ceil(x)) - 1
	if x == math.Trunc(x) && i+1 < len(sorted) {
		return (sorted[i] + sorted[i+1]) / 2
	}
	return sorted[i]
}

func (b *bench) report() (report, error) {
	r := report{CPUs: runtime.NumCPU(), Cold: b.cold}
	for _, argv := range []string{"uname -sr", "systemctl --version", "tmux -V", "aaau --version"} {
		out, err := exec.Command("sh", "-c", argv).Output()
		if err != nil {
			return r, fmt.Errorf("%s: %w", argv, err)
		}
		line, _, _ := strings.Cut(string(out), "\n")
		r.Versions = append(r.Versions, line)
	}
	for _, s := range b.subjects {
		m := b.samples[s.name]
		r.Subjects = append(r.Subjects, subjectFigures{s.name, summary(m.start), summary(m.echo), summary(m.end), summary(m.throughput)})
	}
	ours := r.Subjects[0]
	for _, ref := range references {
		t := target{Measure: ref.measure, Reference: ref.subject, Bound: ref.bound, AaaU: ref.of(ours).Median, Other: ref.of(r.subject(ref.subject)).Median}
		t.Ratio = t.AaaU / t.Other
		t.Met = ref.met(t.Ratio)
		r.Targets = append(r.Targets, t)
	}

	steps, err := launcherSteps(b.rounds)
	if err != nil {
		return r, err
	}
	r.Start = append([]step{{"client: exec, until `aaau --version` answers", summary(b.client).Median}}, steps...)
	r.Start = append(r.Start, step{"the first byte's way back to the terminal", summary(b.samples[aaau].back).Median})
	rest := ours.Start.Median
	for _, s := range r.Start {
		rest -= s.MS
	}
	r.Start = append(r.Start, step{"everything else: bridge, stage, exec of the program", rest})
	return r, nil
}

func (r report) subject(name string) subjectFigures {
	return r.Subjects[slices.IndexFunc(r.Subjects, func(f subjectFigures) bool { return f.Name == name })]
}

// launcherSteps reads from the journal where the launcher's time went in the
// starts after the first: medians.
func launcherSteps(starts int) ([]step, error) {
	if out, err := exec.Command("journalctl", "--sync").CombinedOutput(); err != nil {
		return nil, fmt.Errorf("journalctl --sync: %w: %s", err, out)
	}
	out, err := exec.Command("journalctl", "-u", "aaau-launcher", "-o", "cat", "--no-pager").Output()
	if err != nil {
		return nil, fmt.Errorf("journalctl: %w", err)
	}
	return parseSteps(string(out), starts), nil
}

var (
	// sessionLine is the launcher's line on a start: … took (plan 0.21 ms, scope 2.40 ms)
	sessionLine = regexp.MustCompile(`(?m)^session .* took \(([^()]*)\)$`)
	lap         = regexp.MustCompile(`^(.+) ([0-9.]+) ms$`)
)

// parseSteps takes the lines of that many starts, from the second on.
func parseSteps(journal string, starts int) (steps []step) {
	lines := sessionLine.FindAllStringSubmatch(journal, 1+starts)
	if len(lines) < 2 {
		return nil
	}
	var names []string
	took := map[string][]float64{}
	for _, line := range lines[1:] {
		for _, part := range strings.Split(line[1], ", ") {
			m := lap.FindStringSubmatch(part)
			if m == nil {
				continue
			}
			t, err := strconv.ParseFloat(m[2], 64)
			if err != nil {
				continue
			}
			if took[m[1]] == nil {
				names = append(names, m[1])
			}
			took[m[1]] = append(took[m[1]], t)
		}
	}
	for _, name := range names {
		steps = append(steps, step{"launcher: " + name, summary(took[name]).Median})
	}
	return steps
}

// print writes the report for people.
func (r report) print(w io.Writer) {
	fmt.Fprintf(w, "%s, %d CPUs\n\n", strings.Join(r.Versions, ", "), r.CPUs)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "\tstart, ms\t\tto\techo, ms\t\tto\tMB/s\t\tto\tend, ms\t\t")
	fmt.Fprintln(t, "\tmedian\tp99\tsystemd-run\tmedian\tp99\ttmux\tmedian\tp99\tbare\tmedian\tp99\t")
	for _, f := range r.Subjects {
		ratio := func(i int) float64 {
			of := references[i].of
			return of(f).Median / of(r.subject(references[i].subject)).Median
		}
		// Of so few rounds of a rate, p99 is the slowest.
		fmt.Fprintf(t, "%s\t%.2f\t%.2f\t%.2f\t%.3f\t%.3f\t%.2f\t%.1f\t%.1f\t%.2f\t%.2f\t%.2f\t\n", f.Name,
			f.Start.Median, f.Start.P99, ratio(0), f.Echo.Median, f.Echo.P99, ratio(1),
			f.Throughput.Median, f.Throughput.Min, ratio(2), f.End.Median, f.End.P99)
	}
	t.Flush()
	n := r.Subjects[0]
	fmt.Fprintf(w, "\n%d starts and ends, %d keys, %d rounds of throughput, each subject in turn\n", n.Start.N, n.Echo.N, n.Throughput.N)
	fmt.Fprintf(w, "aaau's very first start, of bridge and launcher too: %.2f ms, not counted above\n", r.Cold)

	fmt.Fprintf(w, "\nWhere aaau's %.2f ms of start go (medians)\n", n.Start.Median)
	for _, s := range r.Start {
		fmt.Fprintf(w, "%8.2f ms  %s\n", s.MS, s.Name)
	}
	fmt.Fprintf(w, "%8.2f ms  is the whole start of the same program on a bare PTY\n\n", r.subject(bare).Start.Median)

	for _, t := range r.Targets {
		verdict := "met"
		if !t.Met {
			verdict = "over target"
		}
		unit := "ms"
		if t.Measure == "throughput" {
			unit = "MB/s"
		}
		fmt.Fprintf(w, "%s: %s %s's: aaau %.3g %s, %s %.3g %s, ratio %.2f: %s\n",
			t.Measure, t.Bound, t.Reference, t.AaaU, unit, t.Reference, t.Other, unit, t.Ratio, verdict)
	}
}
