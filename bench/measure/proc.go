package measure

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// tick is the unit of the times in /proc/PID/stat, which is the same on every Linux that Go runs on.
const tick = 10 * time.Millisecond

// Usage is the processor time of a tree of processes, with that of children who have ended and were waited for.
type Usage struct{ User, System time.Duration }

// Sub returns what was used since before.
func (u Usage) Sub(before Usage) Usage {
	return Usage{u.User - before.User, u.System - before.System}
}

// A process is one line of /proc/PID/stat.
type process struct {
	parent int
	usage  Usage
}

// Tree returns the processor time of a process and all below it.
func Tree(root int) (Usage, error) {
	all, err := processes()
	if err != nil {
		return Usage{}, err
	}
	if _, ok := all[root]; !ok {
		return Usage{}, fmt.Errorf("process %d is gone", root)
	}
	var sum Usage
	for pid := range all {
		if below(all, pid, root) {
			sum.User += all[pid].usage.User
			sum.System += all[pid].usage.System
		}
	}
	return sum, nil
}

// Peak returns the sum of the largest resident sets that the processes of a tree have had (VmHWM), in octets.
func Peak(root int) (int64, error) {
	all, err := processes()
	if err != nil {
		return 0, err
	}
	var sum int64
	for pid := range all {
		if below(all, pid, root) {
			sum += highWater(pid)
		}
	}
	return sum, nil
}

// highWater is 0 for a process that has ended meanwhile.
func highWater(pid int) int64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(text), "VmHWM:")
	fields := strings.Fields(rest)
	if len(fields) == 0 {
		return 0
	}
	kilobytes, err := strconv.ParseInt(fields[0], 10, 64)
	if err != nil {
		return 0
	}
	return kilobytes << 10
}

func below(all map[int]process, pid, root int) bool {
	for pid > 1 {
		if pid == root {
			return true
		}
		pid = all[pid].parent // 0 for one that has ended meanwhile
	}
	return false
}

func processes() (map[int]process, error) {
	files, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return nil, err
	}
	all := make(map[int]process, len(files))
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // it has ended
		}
		pid, p, err := parseStat(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		all[pid] = p
	}
	return all, nil
}

var errStat = errors.New("unknown format")

// parseStat reads proc_pid_stat(5). The name of the program may hold spaces and brackets.
func parseStat(text []byte) (int, process, error) {
	end := bytes.LastIndexByte(text, ')')
	digits, _, _ := strings.Cut(string(text), " ")
	pid, err := strconv.Atoi(digits)
	if err != nil || end < 0 {
		return 0, process{}, errStat
	}
	fields := strings.Fields(string(text[end+1:])) // from the third on: state, ppid, ...
	if len(fields) < 15 {
		return 0, process{}, errStat
	}
	var p process
	if p.parent, err = strconv.Atoi(fields[1]); err != nil {
		return 0, process{}, errStat
	}
	var ticks [4]int64 // utime, stime, cutime, cstime
	for i := range ticks {
		if ticks[i], err = strconv.ParseInt(fields[11+i], 10, 64); err != nil {
			return 0, process{}, errStat
		}
	}
	p.usage = Usage{User: time.Duration(ticks[0]+ticks[2]) * tick, System: time.Duration(ticks[1]+ticks[3]) * tick}
	return pid, p, nil
}

// Load returns the load average of the last minute.
func Load() float64 {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return 0
	}
	first, _, _ := strings.Cut(string(text), " ")
	load, err := strconv.ParseFloat(first, 64)
	if err != nil {
		return 0
	}
	return load
}

// Busy returns the processor time that the whole machine has spent at work since it started.
func Busy() time.Duration {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0
	}
	line, _, _ := strings.Cut(string(text), "\n")
	var ticks int64
	for i, field := range strings.Fields(line) {
		// cpu user nice system idle iowait irq softirq; the rest is inside another machine.
		if i == 0 || i == 4 || i == 5 || i > 7 {
			continue
		}
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return 0
		}
		ticks += n
	}
	return time.Duration(ticks) * tick
}
