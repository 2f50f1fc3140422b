// The page's first script: draws the application into the document.
import { render } from 'preact';
import './style.css';

render(<h1>Potluck</h1>, document.getElementById('app')!);
