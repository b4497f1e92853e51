// Elements made of plain values. What a peer has sent becomes text, never markup: there is nothing
// here that parses HTML.

const SVG = "http://www.w3.org/2000/svg";

// An element; `on...` attributes are listeners, false and null ones are left out, children are
// elements, text, or lists of them.
export function make(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

// The same of an SVG.
export function draw(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === undefined) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "value") element.value = value;
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  put(element, ...children);
  return element;
}

// Add children.
export function put(element, ...children) {
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue;
    element.append(child instanceof Node ? child : document.createTextNode(String(child)));
  }
}

// Have an element hold these children and no others.
export function refill(element, ...children) {
  element.replaceChildren();
  put(element, ...children);
}

// Set a text only where it is another, so that nothing is laid out anew for nothing.
export function say(element, text) {
  const wanted = String(text);
  if (element.textContent !== wanted) element.textContent = wanted;
}

// Call something once per animation frame at most, however often it is wanted, and not more often
// than every so many milliseconds.
export function paced(work, milliseconds = 0) {
  let waiting = false;
  let last = 0;
  return () => {
    if (waiting) return;
    waiting = true;
    const wait = Math.max(0, last + milliseconds - performance.now());
    setTimeout(() => requestAnimationFrame(() => {
      waiting = false;
      last = performance.now();
      work();
    }), wait);
  };
}
