package main

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

// leastGarbage is how much there may always be before it is collected, in bytes: as Go has it.
const leastGarbage = 4 << 20

// collector has garbage collected when the heap has doubled, as Go does, but never
// because two minutes have gone by, as Go does beside: that wakes each of its threads, and
// an idle bridge is not to wake. That clock can only be stopped by having no percentage,
// so memory is bounded instead, anew after each collection.
type collector []metrics.Sample

// What a collector is told, in this order.
var collected = []string{
	"/gc/heap/live:bytes",
	"/memory/classes/total:bytes",
	"/memory/classes/heap/released:bytes", "/memory/classes/heap/objects:bytes", "/memory/classes/heap/free:bytes",
}

// collectWhenGrown is for the rest of the process.
func collectWhenGrown() {
	c := make(collector, len(collected))
	for i, name := range collected {
		c[i].Name = name
	}
	debug.SetMemoryLimit(8 * leastGarbage) // until the first collection tells more
	debug.SetGCPercent(-1)
	c.await()
}

// await has bound be called after the next collection.
func (c collector) await() {
	runtime.AddCleanup(new(*int), collector.bound, c)
}

func (c collector) bound() {
	metrics.Read(c)
	of := func(i int) int64 { return int64(c[i].Value.Uint64()) }
	live, other := of(0), of(1)-of(2)-of(3)-of(4)
	most := other + live + max(live, leastGarbage)
	debug.SetMemoryLimit(most + most/32) // Go keeps so much in hand
	c.await()
}
