package policy

import "paperknife/unwrap"

// chooseView says how many layers come off for a class of recipient (DESIGN, "Views by class of recipient").
func chooseView(layers []unwrap.Layer, class Class) (view View, depth int, repack bool, reason Reason) {
	for _, layer := range layers {
		// A ciphertext for us that could not be opened, wherever it stands: the message is delivered as it came.
		if layer.ForUs && !layer.Opened {
			return ViewReceived, 0, false, ReasonCannotDecrypt
		}
	}
	switch class {
	case ClassCapable:
		view = ViewOpened
	case ClassUnknown, ClassIncapable:
		view = ViewPlain
	default:
		return ViewReceived, 0, false, ""
	}
	for depth < len(layers) && layers[depth].Strippable && comesOff(layers, depth, class) {
		depth++
	}
	if depth < len(layers) && class == ClassUnknown {
		repack = keepsForUnknown(layers[depth]) && layers[depth].Repackable
	}
	return view, depth, repack, ""
}

func comesOff(layers []unwrap.Layer, i int, class Class) bool {
	layer := layers[i]
	switch layer.Role {
	case unwrap.RoleDCA:
		return layer.Opened
	case unwrap.RoleEmpty, unwrap.RoleCompressed:
		return true
	case unwrap.RoleDomain, unwrap.RoleMLA:
		// A failed signature stays in `opened` (DOM-R14).
		return class != ClassCapable || layer.Good() && layer.SignatureTypeFault == ""
	case unwrap.RoleOriginator:
		// Opaque text that cannot be repackaged comes off, and so does what is compressed inside: unknown readers must be
		// able to read it.
		return class == ClassIncapable ||
			class == ClassUnknown && (!keepsForUnknown(layer) || !layer.Detached && !layer.Repackable || holdsCompressed(layers, i))
	case unwrap.RoleInner, unwrap.RoleOther:
		return class != ClassCapable && len(layer.Signers) > 0
	}
	return false
}

// keepsForUnknown: a person's good signature stays for readers that may understand it (E2E-R6 as DESIGN changes it).
func keepsForUnknown(layer unwrap.Layer) bool {
	return layer.Role == unwrap.RoleOriginator && layer.Good()
}

func holdsCompressed(layers []unwrap.Layer, i int) bool {
	return i+1 < len(layers) && layers[i+1].Role == unwrap.RoleCompressed && layers[i+1].Strippable
}
