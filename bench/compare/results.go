package main

import (
	"slices"

	"paperknife/bench/measure"
)

// results are the values of each round, by what was measured: "ours/plain-4k/c16/rate".
type results map[string][]float64

func (r results) add(name string, value float64) { r[name] = append(r[name], value) }

// addPassage adds what a run of the loader found.
func (r results) addPassage(name string, p passage) {
	n := float64(max(p.Count, 1))
	r.add(name+"/rate", p.Rate)
	r.add(name+"/p50", p.P50)
	r.add(name+"/p99", p.P99)
	r.add(name+"/user", measure.Milliseconds(p.usage.User)/n)
	r.add(name+"/cpu", measure.Milliseconds(p.usage.User+p.usage.System)/n)
	r.add(name+"/other", p.other)
}

func (r results) median(name string) float64 { return measure.Median(r[name]) }

// A ratio is taken round by round.
type ratio struct{ median, least, most float64 }

// each applies a function to the values of each round. It is the zero ratio when something was not measured.
func (r results) each(f func(values []float64) float64, names ...string) ratio {
	rounds := -1
	for _, name := range names {
		if n := len(r[name]); rounds < 0 || n < rounds {
			rounds = n
		}
	}
	var list []float64
	for i := range max(rounds, 0) {
		values := make([]float64, len(names))
		for j, name := range names {
			values[j] = r[name][i]
		}
		list = append(list, f(values))
	}
	if len(list) == 0 {
		return ratio{}
	}
	return ratio{measure.Median(list), slices.Min(list), slices.Max(list)}
}

func (r results) ratio(a, b string) ratio {
	return r.each(func(v []float64) float64 { return divide(v[0], v[1]) }, a, b)
}

// divide is 0 when there is nothing to divide by: a run too short for the clock of the kernel.
func divide(a, b float64) float64 {
	if b == 0 {
		return 0
	}
	return a / b
}

// composed is the rate of two things done one after the other for each message.
func composed(a, b float64) float64 { return divide(1, divide(1, a)+divide(1, b)) }
