<?php
// Keeps notes in a database: POST adds one, GET returns all.
$database = new SQLite3('/data/notes.db');
$database->busyTimeout(5000);
$database->exec('CREATE TABLE IF NOT EXISTS note (text)');
header('Content-Type: text/plain');
if ($_SERVER['REQUEST_METHOD'] === 'POST') {
	$insert = $database->prepare('INSERT INTO note VALUES (:text)');
	$insert->bindValue(':text', file_get_contents('php://input'));
	$insert->execute();
	echo "kept\n";
} else {
	$notes = $database->query('SELECT text FROM note ORDER BY rowid');
	while ($note = $notes->fetchArray()) {
		echo $note['text'], "\n";
	}
}
