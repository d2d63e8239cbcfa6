package policy

import (
	"slices"

	"paperknife/unwrap"
)

// A LayerResult sums up one layer for people: the best result of its signers, or what became of a ciphertext.
type LayerResult struct {
	Result string
	Reason Reason
}

// layerResults gives one LayerResult per layer of facts, which are those before released has cut them; cut is how many
// are left.
func layerResults(facts Facts, cut Facts) []LayerResult {
	list := make([]LayerResult, len(facts.Layers))
	for i := range facts.Layers {
		if i >= len(cut.Layers) {
			list[i] = LayerResult{resultNone, ReasonUnauthenticated}
			continue
		}
		list[i] = layerResult(cut, i)
	}
	return list
}

// order is from the best result to the worst (SEEDS 0.1).
var order = []string{resultPass, resultPolicy, resultNeutral, resultFail, resultPermerror, resultNone}

func layerResult(facts Facts, i int) LayerResult {
	layer := facts.Layers[i]
	switch {
	case layer.Type == unwrap.Signed && len(layer.Signers) > 0:
	case layer.Type == unwrap.Signed && layer.Fault == nil:
		return LayerResult{Result: resultNone}
	case layer.Opened:
		return LayerResult{Result: "opened"}
	case layer.ForUs:
		return LayerResult{resultNeutral, ReasonCannotDecrypt}
	case layer.Type == unwrap.Enveloped || layer.Type == unwrap.AuthEnveloped || layer.Type == unwrap.Compressed && layer.Fault == nil:
		return LayerResult{Result: resultNone}
	case unopened(layer):
		return LayerResult{resultNeutral, ReasonUnsupported}
	default:
		return LayerResult{resultNeutral, ReasonUnreadable}
	}
	best := LayerResult{Result: resultNone}
	for j := range layer.Signers {
		result, reason := signerResult(facts, i, j)
		if slices.Index(order, result) < slices.Index(order, best.Result) {
			best = LayerResult{result, reason}
		}
	}
	return best
}
