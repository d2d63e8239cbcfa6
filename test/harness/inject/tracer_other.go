//go:build !(linux && amd64)

package inject

import "os"

// Supported says whether there is a tracer for this system.
const Supported = false

func trace([]string, *os.File) int { panic("no tracer for this system") }
